/* The floor of a fan-out: one send() of the same bytes to each socket, in a loop.

   Answers `same ROUNDS` with the CPU seconds that it took; shakes hands by a fixed answer, for the
   clients of these runs always send the same key. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_SOCKETS 20000
#define PAYLOAD 491

static int sockets[MAX_SOCKETS];
static int count;

static double cpu_s(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec +
           1e-6 * (used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static void shake_hands(int listener) {
    static const char answer[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    char head[4096];
    int one = 1, socket = accept(listener, NULL, NULL);
    if (socket < 0 || count == MAX_SOCKETS) exit(1);
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (recv(socket, head, sizeof head, 0) <= 0) exit(1);
    if (send(socket, answer, sizeof answer - 1, 0) < 0) exit(1);
    sockets[count++] = socket;
}

int main(void) {
    unsigned char frame[4 + PAYLOAD] = {0x81, 126, PAYLOAD >> 8, PAYLOAD & 255};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    char line[64];

    memset(frame + 4, 'x', PAYLOAD);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4096)) return 1;
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("{\"port\": %d}\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        struct pollfd ready[2] = {{0, POLLIN, 0}, {listener, POLLIN, 0}};
        poll(ready, 2, -1);
        if (ready[1].revents & POLLIN) shake_hands(listener);
        if (ready[0].revents & (POLLIN | POLLHUP)) {
            ssize_t length = read(0, line, sizeof line - 1);
            if (length <= 0) return 0;
            line[length] = 0;
            int rounds = atoi(line + 5);
            double began = cpu_s();
            for (int round = 0; round < rounds; round++)
                for (int at = 0; at < count; at++)
                    if (send(sockets[at], frame, sizeof frame, 0) < 0) return 1;
            printf("{\"cpu_s\": %.6f}\n", cpu_s() - began);
            fflush(stdout);
        }
    }
}
