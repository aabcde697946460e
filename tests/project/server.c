/* A small server for tests: it answers any request with 200, and aborts when the path contains /die.
 * server WHERE [MILLISECONDS before it listens] [--deaf: ignore TERM and INT]
 * WHERE is a port of 127.0.0.1, [::1]:PORT, *:PORT for all addresses of IPv4, or the path of a Unix socket. */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void leave(int number) {
    const char *text = number == SIGINT ? "got INT\n" : "got TERM\n";
    if (write(1, text, strlen(text)) < 0) _exit(9);
    _exit(0);
}

static int listen_at(const char *where) {
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
        struct sockaddr_un path;
    } at;
    memset(&at, 0, sizeof at);
    const char *colon = strrchr(where, ':');
    int port = htons(atoi(colon ? colon + 1 : where)), yes = 1;
    socklen_t size = sizeof at.four;
    at.any.sa_family = AF_INET;
    if (strchr(where, '/')) {
        at.any.sa_family = AF_UNIX;
        strncpy(at.path.sun_path, where, sizeof at.path.sun_path - 1);
        size = sizeof at.path;
    } else if (*where == '[') {
        at.any.sa_family = AF_INET6;
        at.six.sin6_port = port;
        at.six.sin6_addr = in6addr_loopback;
        size = sizeof at.six;
    } else {
        at.four.sin_port = port;
        at.four.sin_addr.s_addr = htonl(*where == '*' ? INADDR_ANY : INADDR_LOOPBACK);
    }
    int listener = socket(at.any.sa_family, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, &at.any, size) || listen(listener, 64)) {
        perror("listen");
        exit(1);
    }
    return listener;
}

int main(int count, char **words) {
    int is_deaf = count > 3 && strcmp(words[3], "--deaf") == 0;
    signal(SIGTERM, is_deaf ? SIG_IGN : leave);
    signal(SIGINT, is_deaf ? SIG_IGN : leave);
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("starting\n");
    if (count > 2) usleep(1000 * atoi(words[2]));
    int listener = listen_at(words[1]);
    printf("listening on %s\n", words[1]);
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
        // A client that only checked whether the server listens has already disconnected.
        if (write(client, answer, strlen(answer)) < 0) puts("the client has gone");
        close(client);
    }
}
