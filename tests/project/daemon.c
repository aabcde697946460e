/* A daemon for tests: leaves its parent, its group and its session, and writes over its environment, as
 * servers do that show a title of their own. daemon MARK goes on for ever. */
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
