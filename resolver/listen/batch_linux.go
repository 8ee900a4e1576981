//go:build !portable

package listen

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"pldns/resolver"
	"pldns/resolver/udpio"
)

const (
	// batchSize is how many packets are read or sent by one system call.
	batchSize = 32
	// packetStride is how far apart packets are read to: room for the largest, and
	// a little more, so that their beginnings do not compete for the same lines of
	// the processor's cache.
	packetStride = largestPacket + 1 + 2048 + 64
)

// batch is the room for the packets that are read by one system call, and for
// the replies that are sent by another. It is made once for each reader. A packet
// and what belongs to it are valid until the next call of receive.
type batch struct {
	wildcard bool

	in       [batchSize]udpio.Message
	inData   [batchSize]unix.Iovec
	names    [batchSize]unix.RawSockaddrInet6 // room for either family
	controls [batchSize][controlSize]byte
	packets  []byte

	out         [batchSize]udpio.Message
	outData     [batchSize]unix.Iovec
	outTo       [batchSize]netip.AddrPort
	outNames    [batchSize]unix.RawSockaddrInet6 // of those that reply to no packet that was just read
	outControls [batchSize][controlSize]byte     // likewise
	replies     [batchSize][resolver.UDPSize]byte

	read, filled, sent int
}

func newBatch(wildcard bool) *batch {
	b := &batch{wildcard: wildcard, packets: make([]byte, batchSize*packetStride)}
	for i := range b.in {
		b.inData[i].Base = &b.packets[i*packetStride]
		b.inData[i].SetLen(largestPacket)
		head := &b.in[i]
		head.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		head.Iov = &b.inData[i]
		head.SetIovlen(1)
		if wildcard {
			head.Control = &b.controls[i][0]
		}
		b.rearm(i)

		b.outData[i].Base = &b.replies[i][0]
		b.out[i].Iov = &b.outData[i]
		b.out[i].SetIovlen(1)
	}
	return b
}

// rearm resets what the system overwrites when it reads packet i.
func (b *batch) rearm(i int) {
	b.in[i].Namelen = unix.SizeofSockaddrInet6
	if b.wildcard {
		b.in[i].SetControllen(controlSize)
	}
}

// receive reads what is there, by a call with the given flags, and tells how many
// packets that are. All replies have been sent.
func (b *batch) receive(fd int, flags int) (int, syscall.Errno) {
	for i := range b.read {
		b.rearm(i)
	}
	read, errno := udpio.Receive(fd, b.in[:], flags)
	b.read = read
	return read, errno
}

// packet is packet i.
func (b *batch) packet(i int) []byte {
	return b.packets[i*packetStride:][:b.in[i].Size]
}

// control are the control messages of packet i.
func (b *batch) control(i int) []byte {
	if !b.wildcard {
		return nil
	}
	return b.controls[i][:b.in[i].Controllen]
}

// peer is who sent packet i, as package net would say.
func (b *batch) peer(i int) netip.AddrPort {
	name := &b.names[i]
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&name.Port))[:])
	if name.Family == unix.AF_INET {
		name4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(name4.Addr), port)
	}
	addr := netip.AddrFrom16(name.Addr)
	if name.Scope_id != 0 {
		addr = addr.WithZone(strconv.FormatUint(uint64(name.Scope_id), 10))
	}
	return netip.AddrPortFrom(addr, port)
}

// room is where the next reply is to be written.
func (b *batch) room() []byte { return b.replies[b.filled][:] }

// full tells whether replies have to be sent before there is room for another.
func (b *batch) full() bool { return b.filled == batchSize }

// reply has the octets that were written to room sent as the reply to packet i,
// with the control message of the reply.
func (b *batch) reply(i, size int, to netip.AddrPort, control []byte) {
	head := &b.out[b.filled]
	head.Name, head.Namelen = b.in[i].Name, b.in[i].Namelen
	head.Control = unsafe.SliceData(control)
	b.fill(head, size, to, len(control))
}

// replyLate is reply to a packet that was read before.
func (b *batch) replyLate(size int, to netip.AddrPort, control []byte) {
	head, name := &b.out[b.filled], &b.outNames[b.filled]
	head.Name, head.Namelen = (*byte)(unsafe.Pointer(name)), putAddress(name, to)
	head.Control = &b.outControls[b.filled][0]
	b.fill(head, size, to, copy(b.outControls[b.filled][:], control))
}

func (b *batch) fill(head *udpio.Message, size int, to netip.AddrPort, control int) {
	if control == 0 {
		head.Control = nil
	}
	head.SetControllen(control)
	b.outData[b.filled].SetLen(size)
	b.outTo[b.filled] = to
	b.filled++
}

// send sends the replies, and tells of those that the system would not take.
func (b *batch) send(fd int, failed func(to netip.AddrPort, err error)) {
	for b.sent < b.filled {
		if err := b.sendSome(fd); err != 0 && err != unix.EINTR {
			failed(b.outTo[b.sent], err)
			b.sent++
		}
	}
	b.filled, b.sent = 0, 0
}

// sendSome sends as many replies as there is room for in the system, and waits for
// that only if there is none.
func (b *batch) sendSome(fd int) syscall.Errno {
	sent, errno := udpio.Send(fd, b.out[b.sent:b.filled])
	if errno == unix.EAGAIN {
		sent, errno = udpio.SendWaiting(fd, b.out[b.sent:b.filled])
	}
	b.sent += sent
	return errno
}
