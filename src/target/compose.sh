# shellcheck shell=sh disable=SC2154,SC2317,SC2329
# The part of a compose target that runs on its host. It follows assignments of `path` (the folder of the
# environment), `role`, `project` and `names` (those of the variables, as items of a list in YAML), and ends with a
# call of one of its functions. `deliver` and `clean` are orders of host.sh; `start` and `stop` run in the folder of a
# slot, with its variables. It needs a POSIX shell, coreutils, awk, gzip, `docker`, and `docker compose` or
# `docker-compose`.
#
# Services with slots run in the projects PROJECT-blue and PROJECT-green, all others in PROJECT. The containers of a
# slot are in the networks of their own project, where services find those of the same slot by their names, and in
# those of PROJECT, where they are called SERVICE-SLOT.
#
# `images/RELEASE.SERVICE` contains the id of an image. The image itself is in `images/DIGITS.tar.gz`, since
# `docker system prune -a` removes each image that no container uses, and has the tag taskgate/PROJECT-SERVICE:RELEASE.

set -u
images=$path/images
label=com.docker.compose

die() {
    printf '%s\n' "$*" >&2
    exit 1
}

# Sets `kind` to the kind of compose that the host has.
find_compose() {
    if docker compose version >/dev/null 2>&1; then
        kind=plugin
    elif command -v docker-compose >/dev/null; then
        kind=old
    else
        die "docker compose is missing on the host; hint: install docker-compose-plugin or docker-compose"
    fi
}

compose() {
    if [ $kind = plugin ]; then docker compose "$@"; else docker-compose "$@"; fi
}

# Whether docker answers.
ask_docker() {
    command -v docker >/dev/null || die "docker is missing on the host"
    reason=$(timeout -k 10 30 docker version -f '{{.Server.Version}}' 2>&1) || die "docker does not answer: $reason"
}

# tag SERVICE RELEASE: prints the tag of an image.
tag() {
    printf 'taskgate/%s-%s:%s\n' "$project" "$(printf %s "$1" | tr '[:upper:]' '[:lower:]')" "$2"
}

# put_file FILE: writes stdin to a file, at once.
put_file() {
    cat >"$1.new" && sync "$1.new" 2>/dev/null && mv -f "$1.new" "$1" || die "can't write $1"
}

# keep_image ID: writes an image into a file, unless it is there.
keep_image() {
    file=$images/${1#sha256:}.tar.gz
    [ ! -e "$file" ] || return 0
    size=$(docker image inspect -f '{{.Size}}' "$1") || die "image $1 is not on this host any more"
    free=$(df -Pk "$images" | awk 'NR == 2 { print $4 }')
    [ $((size / 1024)) -lt "$free" ] || die "no space: image $1 needs $((size / 1024)) KiB, $free KiB are free"
    rm -f "$images"/*.new
    # The exit status of a pipe is that of its end, so an error of `docker save` leaves a mark.
    { docker save "$1" || echo >"$file.failed.new"; } | gzip -1 >"$file.new" || die "can't write $file"
    [ ! -e "$file.failed.new" ] || die "can't save image $1"
    sync "$file.new" 2>/dev/null
    mv -f "$file.new" "$file"
}

has_image() {
    docker image inspect "$1" >/dev/null 2>&1
}

# load_image ID: makes an image that was kept usable again.
load_image() {
    ! has_image "$1" || return 0
    file=$images/${1#sha256:}.tar.gz
    [ -e "$file" ] || die "image $1 is gone: neither docker nor $images has it"
    gzip -dc "$file" | docker load -q >/dev/null
    has_image "$1" || die "can't load image $1 from $file"
}

# deliver RELEASE [SERVICE NAME DIGEST]…: brings images to the host.
deliver() {
    ask_docker
    release=$1
    shift
    mkdir -p "$images" && chmod 700 "$images" || exit 1
    while [ $# -gt 0 ]; do
        record=$images/$release.$1
        if [ -e "$record" ]; then
            load_image "$(cat "$record")"
        else
            fetch_image "$2" "$3"
            keep_image "$id"
            printf '%s\n' "$id" | put_file "$record"
        fi
        docker tag "$(cat "$record")" "$(tag "$1" "$release")" || exit 1
        shift 3
    done
}

# fetch_image NAME DIGEST: sets `id` to the id of an image, of which the digest is the id or that of its manifest.
fetch_image() {
    if has_image "$2"; then
        id=$2
    else
        if ! has_image "$1@$2"; then
            [ ! -e "$images/${2#sha256:}.tar.gz" ] || load_image "$2"
            if has_image "$2"; then
                id=$2
                return
            fi
            reason=$(timeout -k 10 "${limit:-600}" docker pull -q "$1@$2" 2>&1) ||
                die "image $1@$2 is not on this host and can't be pulled: $(printf %s "$reason" | tail -n 1)"
        fi
        id=$1@$2
    fi
    id=$(docker image inspect -f '{{.Id}}' "$id") || exit 1
}

# check_owner PROJECT…: refuses containers that somebody else has started in these projects.
check_owner() {
    real=$(cd "$path" && pwd -P)
    for one in "$@"; do
        docker ps -a --filter "label=$label.project=$one" \
            --format "{{.Names}} {{.Label \"$label.project.working_dir\"}}" |
            while read -r name folder; do
                case $folder in
                "$path"/* | "$real"/*) ;;
                *) die "container $name is in the compose project $one, but was started in ${folder:-an unknown folder}; hint: stop it with \`docker compose -p $one down\`, which keeps its volumes" ;;
                esac
            done || exit 1
    done
}

# start SLOT FILE SERVICE…: starts the services of a slot, and those without slots that do not exist.
start() {
    ask_docker
    slot=$1 file=$2
    shift 2
    own=$project-$slot
    find_compose
    check_owner "$project" "$own"
    all=$(compose -p "$project" -f "$file" config --services) || die "the compose file is invalid"
    others=''
    for service in $all; do
        case " $* " in *" $service "*) ;; *) others="$others $service" ;; esac
    done
    for service in "$@"; do
        printf '%s\n' "$all" | grep -qxF "$service" || die "$file has no service $service"
    done
    start_shared
    override "$@" >"$path/$role/$slot.yml" || exit 1
    more=$path/$role/$slot.yml
    # Compose decides by the first file what relative paths mean.
    compose -p "$own" -f "$file" -f "$more" up --no-start --no-build --no-deps "$@" || exit 1
    created=''
    for service in "$@"; do
        containers=$(docker ps -aq --filter "label=$label.project=$own" --filter "label=$label.service=$service")
        [ -n "$containers" ] || die "service $service has no container"
        for container in $containers; do connect "$container"; done
        keep_found "$container"
        created="$created $containers"
    done
    # Compose would wait for services that are in another project.
    # shellcheck disable=SC2086
    docker start $created >/dev/null
}

# Starts the services in `others` that do not exist. Their folder stays the same in all releases, so what they write
# into it stays too.
start_shared() {
    [ -n "$others" ] || return 0
    mkdir -p "$path/$role/shared" && cp -R ./. "$path/$role/shared/" || exit 1
    # shellcheck disable=SC2086
    (cd "$path/$role/shared" && compose -p "$project" -f "$file" up -d --no-recreate --no-deps $others) ||
        die "the services without slots do not start:$others"
}

# override SERVICE…: prints what the compose file is to say otherwise.
override() {
    echo 'services:'
    for service in "$@"; do
        printf '  "%s":\n    environment: [%s]\n' "$service" "$names"
        record=$images/$RELEASE.$service
        [ -e "$record" ] || continue
        load_image "$(cat "$record")" && docker tag "$(cat "$record")" "$(tag "$service" "$RELEASE")" || exit 1
        printf '    image: "%s"\n' "$(tag "$service" "$RELEASE")"
    done
    shared_volumes
}

# Prints that both slots use the volumes of the shared services.
shared_volumes() {
    compose -p "$project" -f "$file" config | awk -v project="$project" '
        function show() { if (key != "") print key, (name != "" ? name : project "_" key), (more ? "some" : "none") }
        /^[^ ]/ { show(); key = ""; inside = ($1 == "volumes:") }
        inside && /^  [^ ]/ { show(); key = $1; gsub(/[":]/, "", key); name = ""; more = 0 }
        inside && /^    name:/ { name = $2; gsub(/"/, "", name) }
        inside && /^    [^ ]/ && !/^    name:/ { more = 1 }
        inside && /^    external:/ { key = "" }
        END { show() }' | {
        echo 'volumes:'
        found=no
        while read -r key name options; do
            found=yes
            printf '  "%s":\n    name: "%s"\n' "$key" "$name"
            # The plugin refuses options of an external volume; the older program replaces them.
            if [ "$options" = none ]; then
                docker volume create --label "$label.project=$project" --label "$label.volume=$key" "$name" \
                    >/dev/null || exit 1
            elif [ $kind = plugin ]; then
                continue
            fi
            echo '    external: true'
        done
        [ $found = yes ] || echo '  {}'
    }
}

# connect CONTAINER: brings the container of a service into the networks of the shared services.
connect() {
    found=" $(docker inspect -f '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}' "$1")"
    for network in $found; do
        shared=$project${network#"$own"}
        case $network in "$own"_*) ;; *) continue ;; esac
        case $found in *" $shared "*) continue ;; esac
        docker network inspect "$shared" >/dev/null 2>&1 || continue
        docker network connect --alias "$service-$slot" "$shared" "$1" || exit 1
    done
}

# keep_found CONTAINER: keeps the image of a service that has none of the artifacts, for a later rollback.
keep_found() {
    record=$images/$RELEASE.$service
    [ ! -e "$record" ] || return 0
    mkdir -p "$images" && chmod 700 "$images" || exit 1
    id=$(docker inspect -f '{{.Image}}' "$1") || exit 1
    keep_image "$id"
    docker tag "$id" "$(tag "$service" "$RELEASE")" || exit 1
    printf '%s\n' "$id" | put_file "$record"
}

# stop SLOT: stops the services of a slot. Their last output is kept, since it is lost with the containers.
stop() {
    ask_docker
    own=$project-$1
    check_owner "$own"
    containers=$(docker ps -aq --filter "label=$label.project=$own")
    if [ -n "$containers" ]; then
        # shellcheck disable=SC2086
        docker stop $containers >/dev/null || exit 1
        log=$path/$role/$1.log
        (umask 077 && : >"$log")
        for container in $containers; do
            {
                docker inspect -f '== {{.Name}}: exit status {{.State.ExitCode}}' "$container"
                docker logs --tail 1000 "$container"
            } >>"$log" 2>&1
        done
        # shellcheck disable=SC2086
        docker rm -v $containers >/dev/null || exit 1
    fi
    networks=$(docker network ls -q --filter "label=$label.project=$own")
    # shellcheck disable=SC2086
    [ -z "$networks" ] || docker network rm $networks >/dev/null
}

# clean RELEASE…: removes the images of all releases but these and those in slots.
clean() {
    [ -d "$images" ] || return 0
    ask_docker
    kept=" $* $(cat "$path"/.taskgate/slots/*.release 2>/dev/null | tr '\n' ' ') "
    for record in "$images"/*; do
        name=${record##*/}
        release=${name%%.*}
        case $name in *.tar.gz | *.new) continue ;; esac
        case $kept in *" $release "*) continue ;; esac
        docker image rm "$(tag "${name#*.}" "$release")" >/dev/null 2>&1
        rm -f "$record"
    done
    used=$(for record in "$images"/*; do
        case $record in *.tar.gz | *.new) ;; *) cat "$record" 2>/dev/null ;; esac
    done)
    for file in "$images"/*.tar.gz; do
        [ -e "$file" ] || continue
        id=${file##*/}
        id=sha256:${id%.tar.gz}
        case "
$used
" in *"
$id
"*) continue ;; esac
        rm -f "$file"
        # What somebody else has given a name, or uses, stays.
        names=$(docker image inspect -f '{{join .RepoTags " "}}' "$id" 2>/dev/null) || continue
        [ -n "$names" ] || docker image rm "$id" >/dev/null 2>&1
    done
}
