/* A daemon for tests: it leaves its parent, its process group and its session. It also overwrites its
 * environment, as servers do that change their title in the list of processes. daemon MARK never ends. */
#include <string.h>
#include <unistd.h>

extern char **environ;

int main(int count, char **words) {
    if (count < 2 || words[1][0] == 0) return 2;
    if (fork() != 0) return 0;
    setsid();
    if (fork() != 0) _exit(0);
    for (char **entry = environ; *entry != NULL; entry++) memset(*entry, 0, strlen(*entry));
    close(0);
    close(1);
    close(2);
    for (;;) pause();
}
