/* threads FILE prints a file that a second thread opens, while a third thread only waits. */
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static void *waits(void *none) {
    for (;;) pause();
    return none;
}

static void *reads(void *path) {
    char text[4096];
    int file = open(path, O_RDONLY);
    ssize_t length = read(file, text, sizeof text);
    return (void *)(long)(length < 0 || write(1, text, length) != length);
}

int main(int count, char **words) {
    pthread_t idle, reader;
    void *failed = NULL;
    if (count < 2 || pthread_create(&idle, NULL, waits, NULL) || pthread_create(&reader, NULL, reads, words[1]))
        return 2;
    pthread_join(reader, &failed);
    return failed != NULL;
}
