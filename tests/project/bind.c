/* A program for tests: bind PORT takes a port of 127.0.0.1, or any port if it is 0, and prints whether it could. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int count, char **words) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(count > 1 ? atoi(words[1]) : 0), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    puts(bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&at, sizeof at) ? "taken" : "free");
    return 0;
}
