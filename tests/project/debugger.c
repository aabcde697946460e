/* A small debugger for tests: debugger PROGRAM [ARGUMENT…] runs a program, traces it, and ends with the
 * program's exit status. The status is 9 if it can't trace, for example because another tracer does. */
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **words) {
    if (count < 2) return 2;
    pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0)) {
            perror("ptrace");
            _exit(9);
        }
        execvp(words[1], words + 1);
        _exit(127);
    }
    int status;
    while (waitpid(child, &status, 0) == child) {
        if (WIFEXITED(status)) return WEXITSTATUS(status);
        if (WIFSIGNALED(status)) return 128 + WTERMSIG(status);
        int signal = WSTOPSIG(status);
        ptrace(PTRACE_CONT, child, 0, signal == 5 ? 0 : signal);
    }
    return 1;
}
