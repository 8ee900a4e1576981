//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// serveStub answers every question on the port of the stub: A with an address,
// anything else with nothing. It sends back the question and what follows from it.
func serveStub() error {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: stubPort})
	if err != nil {
		return err
	}
	_ = conn.SetReadBuffer(8 << 20)
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: stubPort})
	if err != nil {
		return err
	}
	failed := make(chan error)
	go func() { // as long as the process
		for {
			conn, err := listener.Accept()
			if err != nil {
				failed <- err
				return
			}
			go serveStubStream(conn)
		}
	}()
	for range runtime.GOMAXPROCS(0) {
		go func() { // as long as the process
			buf := make([]byte, 4096)
			for {
				n, peer, err := conn.ReadFromUDPAddrPort(buf)
				if err != nil {
					failed <- err
					return
				}
				if reply := stubReply(buf[:n]); reply != nil {
					_, _ = conn.WriteToUDPAddrPort(reply, peer)
				}
			}
		}()
	}
	return <-failed
}

// serveStubStream answers the questions of one connection.
func serveStubStream(conn net.Conn) {
	defer conn.Close()
	stream := dns.Conn{Conn: conn}
	for {
		buf := make([]byte, 4096)
		n, err := stream.Read(buf)
		if err != nil {
			return
		}
		if reply := stubReply(buf[:n]); reply != nil {
			_, _ = stream.Write(reply)
		}
	}
}

// stubReply makes the reply to a query, nil if it is none. The OPT record of the
// query is sent back as it came, its options left out.
func stubReply(packet []byte) []byte {
	const headerSize = 12
	at := headerSize
	for at < len(packet) && packet[at] != 0 {
		at += int(packet[at]) + 1
	}
	end := at + 5
	if len(packet) < end {
		return nil
	}
	kind, edns := binary.BigEndian.Uint16(packet[at+1:]), len(packet) >= end+11
	reply := append(make([]byte, 0, 512), packet[:end]...)
	reply[2], reply[3] = reply[2]|0x80, 0x80
	clear(reply[6:headerSize])
	if kind == 1 {
		reply[7] = 1
		reply = append(reply, 0xC0, headerSize, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1)
	} else {
		reply[9] = 1
		reply = append(reply, 0, 0, 6, 0, 1, 0, 0, 1, 44, 0, 22, 0, 0)
		reply = append(reply, 0, 0, 0, 1, 0, 0, 1, 44, 0, 0, 1, 44, 0, 0, 1, 44, 0, 0, 1, 44)
	}
	if edns {
		reply[11] = 1
		reply = append(reply, 0, 0, 41, 4, 0xD0, 0, 0, 0, 0, 0, 0)
	}
	return reply
}

// echoSource is the least that a server can do in C: to read packets in batches,
// set the QR bit, and send them back in batches.
const echoSource = `
#define _GNU_SOURCE
#include <sys/socket.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define BATCH 32
static int port;
static void *work(void *none) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0), one = 1, room = 4 << 20;
  setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, (void *)&at, sizeof at)) exit(1);
  static __thread char data[BATCH][2048];
  struct mmsghdr m[BATCH]; struct iovec v[BATCH]; struct sockaddr_in6 from[BATCH];
  for (;;) {
    memset(m, 0, sizeof m);
    for (int i = 0; i < BATCH; i++) {
      v[i].iov_base = data[i]; v[i].iov_len = sizeof data[i];
      m[i].msg_hdr.msg_iov = v + i; m[i].msg_hdr.msg_iovlen = 1;
      m[i].msg_hdr.msg_name = from + i; m[i].msg_hdr.msg_namelen = sizeof from[i];
    }
    int n = recvmmsg(fd, m, BATCH, MSG_WAITFORONE, 0);
    if (n <= 0) continue;
    for (int i = 0; i < n; i++) { data[i][2] |= 0x80; data[i][3] &= 0xF0; v[i].iov_len = m[i].msg_len; }
    sendmmsg(fd, m, n, 0);
  }
}
int main(int argc, char **argv) {
  port = atoi(argv[1]);
  pthread_t thread;
  for (int i = 1; i < sysconf(_SC_NPROCESSORS_ONLN); i++) pthread_create(&thread, 0, work, 0);
  work(0);
}
`

// echoCommand is the echo in C where there is a compiler, else the one in Go.
func echoCommand(dir, self string) ([]string, error) {
	program := filepath.Join(dir, "echo")
	if _, err := os.Stat(program); err == nil {
		return []string{program, fmt.Sprint(serverPort)}, nil
	}
	compiler, err := exec.LookPath("cc")
	if err != nil {
		return []string{self, "echo"}, nil
	}
	source := filepath.Join(dir, "echo.c")
	if err := os.WriteFile(source, []byte(echoSource), 0o600); err != nil {
		return nil, err
	}
	if out, err := exec.Command(compiler, "-O2", "-o", program, source, "-lpthread").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile the echo: %w: %s", err, out)
	}
	return []string{program, fmt.Sprint(serverPort)}, nil
}

// serveEcho is the same in Go.
func serveEcho() error {
	failed := make(chan error)
	for range runtime.GOMAXPROCS(0) {
		config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		}}
		conn, err := config.ListenPacket(context.Background(), "udp4", fmt.Sprintf("127.0.0.1:%d", serverPort))
		if err != nil {
			return err
		}
		raw, err := conn.(*net.UDPConn).SyscallConn()
		if err != nil {
			return err
		}
		go func() { failed <- echo(raw) }() // as long as the process
	}
	return <-failed
}

// echo sends back what it reads.
func echo(raw syscall.RawConn) error {
	const batch = 32
	type mmsghdr struct {
		unix.Msghdr
		size uint32
	}
	var (
		heads [batch]mmsghdr
		data  [batch][2048]byte
		parts [batch]unix.Iovec
		names [batch]unix.RawSockaddrInet6
		count uintptr
	)
	for {
		for i := range heads {
			parts[i].Base = &data[i][0]
			parts[i].SetLen(len(data[i]))
			heads[i].Iov, heads[i].Name, heads[i].Namelen = &parts[i], (*byte)(unsafe.Pointer(&names[i])), unix.SizeofSockaddrInet6
			heads[i].SetIovlen(1)
		}
		err := raw.Read(func(fd uintptr) bool {
			var failed syscall.Errno
			count, _, failed = unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&heads[0])), batch, unix.MSG_DONTWAIT, 0, 0)
			return failed == 0
		})
		if err != nil {
			return err
		}
		for i := range heads[:count] {
			data[i][2], data[i][3] = data[i][2]|0x80, data[i][3]&0xF0
			parts[i].SetLen(int(heads[i].size))
		}
		err = raw.Write(func(fd uintptr) bool {
			_, _, _ = unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&heads[0])), count, 0, 0, 0)
			return true
		})
		if err != nil {
			return err
		}
	}
}
