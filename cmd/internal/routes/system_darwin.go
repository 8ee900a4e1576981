package routes

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/route"
	"golang.org/x/sys/unix"
)

// replyTime is how long the kernel may take to answer over a routing socket.
const replyTime = 2 * time.Second

// lookup asks the kernel over a routing socket, as route(8) does with "get".
func lookup(to netip.Addr) (Route, error) {
	message, err := get(to)
	if err != nil {
		return Route{}, err
	}
	one, err := net.InterfaceByIndex(message.Index)
	if err != nil {
		return Route{}, err
	}
	entries, err := table()
	if err != nil {
		return Route{}, err
	}
	r := Route{
		Interface: one.Name, Kind: ofMac(one.Name), Source: addrOf(message, unix.RTAX_IFA), Gateway: addrOf(message, unix.RTAX_GATEWAY),
		Prefix: longest(to, message.Index, entries), Local: message.Flags&unix.RTF_LOCAL != 0,
	}
	if message.Flags&unix.RTF_GATEWAY == 0 {
		r.Gateway = netip.Addr{}
	}
	return r, nil
}

// get sends one question and reads until its answer is there: every routing socket
// is told of all that changes.
func get(to netip.Addr) (*route.RouteMessage, error) {
	socket, err := unix.Socket(unix.AF_ROUTE, unix.SOCK_RAW, unix.AF_UNSPEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(socket)
	limit := unix.NsecToTimeval(replyTime.Nanoseconds())
	if err := unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return nil, err
	}
	question := route.RouteMessage{
		Version: unix.RTM_VERSION, Type: unix.RTM_GET, Flags: unix.RTF_UP | unix.RTF_HOST, ID: uintptr(os.Getpid()), Seq: 1,
		Addrs: []route.Addr{unix.RTAX_DST: inetOf(to), unix.RTAX_IFP: &route.LinkAddr{}},
	}
	packet, err := question.Marshal()
	if err != nil {
		return nil, err
	}
	if _, err := unix.Write(socket, packet); err != nil {
		if errors.Is(err, unix.ESRCH) { // what the kernel says where there is no route
			return nil, ErrNoRoute
		}
		return nil, err
	}
	buffer := make([]byte, 4096)
	for end := time.Now().Add(replyTime); time.Now().Before(end); {
		n, err := unix.Read(socket, buffer)
		if err != nil {
			return nil, err
		}
		messages, err := route.ParseRIB(route.RIBTypeRoute, buffer[:n])
		if err != nil {
			continue // of a kind that the library does not know
		}
		for _, message := range messages {
			answer, is := message.(*route.RouteMessage)
			if is && answer.Type == unix.RTM_GET && answer.ID == question.ID && answer.Seq == question.Seq {
				return answer, answer.Err
			}
		}
	}
	return nil, os.ErrDeadlineExceeded
}

func inetOf(addr netip.Addr) route.Addr {
	if addr.Is4() {
		return &route.Inet4Addr{IP: addr.As4()}
	}
	return &route.Inet6Addr{IP: addr.As16()}
}

// addrOf is one of the addresses of a message; the zero value where it has none.
func addrOf(message *route.RouteMessage, which int) netip.Addr {
	if which >= len(message.Addrs) {
		return netip.Addr{}
	}
	switch addr := message.Addrs[which].(type) {
	case *route.Inet4Addr:
		return netip.AddrFrom4(addr.IP)
	case *route.Inet6Addr:
		return netip.AddrFrom16(addr.IP)
	default:
		return netip.Addr{}
	}
}

// describe says what an interface is.
func describe(one net.Interface) (Kind, string) { return ofMac(one.Name), "" }

// table lists the routes of both families.
func table() ([]entry, error) {
	rib, err := route.FetchRIB(unix.AF_UNSPEC, route.RIBTypeRoute, 0)
	if err != nil {
		return nil, err
	}
	messages, err := route.ParseRIB(route.RIBTypeRoute, rib)
	if err != nil {
		return nil, err
	}
	var all []entry
	for _, message := range messages {
		one, is := message.(*route.RouteMessage)
		if !is || one.Flags&unix.RTF_UP == 0 {
			continue
		}
		if to := addrOf(one, unix.RTAX_DST); to.IsValid() {
			all = append(all, entry{netip.PrefixFrom(to, bitsOf(one, to)).Masked(), one.Index})
		}
	}
	return all, nil
}

// bitsOf is the length of the prefix of a route. A host has no mask, and the route
// for everything may go without.
func bitsOf(message *route.RouteMessage, to netip.Addr) int {
	mask := addrOf(message, unix.RTAX_NETMASK)
	switch {
	case message.Flags&unix.RTF_HOST != 0:
		return to.BitLen()
	case mask.IsValid() && mask.BitLen() == to.BitLen():
		ones, _ := net.IPMask(mask.AsSlice()).Size()
		return ones
	default:
		return 0
	}
}
