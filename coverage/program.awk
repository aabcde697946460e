# Reduces LCOV to the lines of the program itself: those in src/, xtask/src/ and crates/*/src/ that are not
# test code, with paths relative to the repository.
#
# The sources are read first, to find the modules with `#[cfg(test)]`; then the LCOV, with `top` set to the
# absolute path of the repository. A table is written to standard error.

function test_lines_of(path) {
    if (path in from) return from[path]
    for (folder in folders) if (index(path, folder "/") == 1) return 1
    return 0
}

# Returns the percentage of `one` in `all` with one digit. It is rounded down, so that it never shows a limit
# as reached too early.
function percent(one, all) { return all ? sprintf("%.1f", int(1000 * one / all) / 10) : "-" }

function close_file(  room) {
    if (found) {
        print "SF:" path
        printf "%s", lines
        print "LF:" found "\nLH:" hit "\nend_of_record"
        room = path
        if (room ~ /^src\/[^\/]*\//) { sub(/^src\//, "", room); sub(/\/.*/, "", room); room = "src/" room }
        else sub(/\/[^\/]*$/, "", room)
        all[room] += found; run[room] += hit; all_found += found; all_hit += hit
    }
    found = hit = 0
    lines = ""
}

FNR == 1 { marked = 0 }

FILENAME ~ /\.rs$/ {
    if (marked && match($0, /^(pub(\([a-z]+\))? )?mod [a-z_]+/)) {
        name = substr($0, RSTART, RLENGTH)
        sub(/.* /, "", name)
        if ($0 ~ /\{$/) {
            from[FILENAME] = FNR
        } else {
            folder = FILENAME
            # The modules of a file `a/b.rs` are in the folder `a/b`; those of `mod.rs`, `lib.rs` and
            # `main.rs` are in the same folder.
            if (!sub(/\/(mod|lib|main)\.rs$/, "", folder)) sub(/\.rs$/, "", folder)
            from[folder "/" name ".rs"] = 1
            folders[folder "/" name] = 1
        }
    }
    marked = /^#\[cfg\(test\)\]/ || (marked && /^#\[/)
    next
}

/^SF:/ {
    close_file()
    path = substr($0, 4)
    if (index(path, top "/") == 1) path = substr(path, length(top) + 2)
    counted = path ~ /^(xtask\/|crates\/[^\/]*\/)?src\//
    if (counted) first = test_lines_of(path)
}

counted && /^DA:/ {
    split(substr($0, 4), part, ",")
    if (first && part[1] + 0 >= first) next
    lines = lines "DA:" part[1] "," part[2] "\n"
    found++
    if (part[2] > 0) hit++
}

END {
    close_file()
    if (!all_found) {
        print "coverage: nothing of src/ was measured" > "/dev/stderr"
        exit 1
    }
    for (room in all) printf "%7s %%  %6d of %6d  %s\n", percent(run[room], all[room]), run[room], all[room], room | "sort -k 6 >&2"
    close("sort -k 6 >&2")
    printf "%7s %%  %6d of %6d  lines of the program\n", percent(all_hit, all_found), all_hit, all_found > "/dev/stderr"
}
