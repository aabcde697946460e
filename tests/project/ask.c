/* A small client for tests: ask PORT PATH prints the answer of a server on 127.0.0.1. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int count, char **words) {
    int stream = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (count < 3 || connect(stream, (struct sockaddr *)&at, sizeof at)) {
        perror("connect");
        return 1;
    }
    dprintf(stream, "GET %s HTTP/1.0\r\n\r\n", words[2]);
    char answer[4096];
    ssize_t length;
    while ((length = read(stream, answer, sizeof answer)) > 0)
        if (fwrite(answer, 1, length, stdout) == 0) return 1;
    return 0;
}
