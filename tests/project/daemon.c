/* A daemon for tests: it leaves its parent, its process group and its session. It also overwrites its
 * environment, as servers do that change their title in the list of processes. daemon MARK never ends; its first
 * process ends when all that is done. */
#include <string.h>
#include <unistd.h>

extern char **environ;

int main(int count, char **words) {
    if (count < 2 || words[1][0] == 0) return 2;
    int ready[2];
    if (pipe(ready) != 0) return 1;
    if (fork() != 0) {
        close(ready[1]);
        char end;
        return read(ready[0], &end, 1) == 0 ? 0 : 1;
    }
    setsid();
    if (fork() != 0) _exit(0);
    for (char **entry = environ; *entry != NULL; entry++) memset(*entry, 0, strlen(*entry));
    close(0);
    close(1);
    close(2);
    close(ready[0]);
    close(ready[1]);
    for (;;) pause();
}
