/* A small server for tests: answers any request on 127.0.0.1 with 200, until it is told to die.
 * server PORT [MILLISECONDS before it listens] [--deaf: ignore TERM and INT] */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void leave(int number) {
    const char *text = number == SIGINT ? "got INT\n" : "got TERM\n";
    if (write(1, text, strlen(text)) < 0) _exit(9);
    _exit(0);
}

int main(int count, char **words) {
    int port = atoi(words[1]);
    int is_deaf = count > 3 && strcmp(words[3], "--deaf") == 0;
    signal(SIGTERM, is_deaf ? SIG_IGN : leave);
    signal(SIGINT, is_deaf ? SIG_IGN : leave);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("starting\n");
    if (count > 2) usleep(1000 * atoi(words[2]));
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 64)) {
        perror("listen");
        return 1;
    }
    printf("listening on %d\n", port);
    for (;;) {
        char request[4096] = {0};
        int client = accept(listener, NULL, NULL);
        if (client < 0) continue;
        if (read(client, request, sizeof request - 1) < 0) continue;
        if (strstr(request, "/die")) {
            fprintf(stderr, "told to die\n");
            abort();
        }
        const char *answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes";
        if (write(client, answer, strlen(answer)) < 0) perror("write");
        close(client);
    }
}
