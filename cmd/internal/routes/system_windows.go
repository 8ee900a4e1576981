package routes

import (
	"errors"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/windows"
)

// lookup asks Windows for the best route, the source address with it.
func lookup(to netip.Addr) (Route, error) {
	best := windows.NewLazySystemDLL("iphlpapi.dll").NewProc("GetBestRoute2")
	if err := best.Find(); err != nil {
		return Route{}, err
	}
	var row windows.MibIpForwardRow2
	var source windows.RawSockaddrInet
	destination := socketOf(to)
	status, _, _ := best.Call(0, 0, 0, uintptr(unsafe.Pointer(&destination)), 0, uintptr(unsafe.Pointer(&row)),
		uintptr(unsafe.Pointer(&source)))
	if status != 0 {
		return Route{}, noRoute(windows.Errno(status))
	}
	r := Route{Source: addrOf(&source), Gateway: addrOf(&row.NextHop), Prefix: prefixOfRow(&row)}
	if r.Gateway.IsUnspecified() {
		r.Gateway = netip.Addr{}
	}
	r.Local = r.Source == to
	r.Interface, r.Kind, _ = adapter(row.InterfaceIndex)
	return r, nil
}

// noRoute is what Windows says of an address that it sends nothing to.
func noRoute(err error) error {
	for _, one := range []error{windows.ERROR_NETWORK_UNREACHABLE, windows.ERROR_HOST_UNREACHABLE, windows.ERROR_NOT_FOUND} {
		if errors.Is(err, one) {
			return ErrNoRoute
		}
	}
	return err
}

// socketOf is an address as the functions of Windows take it: behind the family and
// the port, and for IPv6 behind the flow label as well.
func socketOf(addr netip.Addr) windows.RawSockaddrInet {
	var socket windows.RawSockaddrInet
	data := (*[24]byte)(unsafe.Pointer(&socket.Data))
	if addr.Is4() {
		socket.Family = windows.AF_INET
		copy(data[:4], addr.AsSlice())
		return socket
	}
	socket.Family = windows.AF_INET6
	copy(data[4:20], addr.AsSlice())
	return socket
}

func addrOf(socket *windows.RawSockaddrInet) netip.Addr {
	data := (*[24]byte)(unsafe.Pointer(&socket.Data))
	switch socket.Family {
	case windows.AF_INET:
		return netip.AddrFrom4([4]byte(data[:4]))
	case windows.AF_INET6:
		return netip.AddrFrom16([16]byte(data[4:20])).Unmap()
	default:
		return netip.Addr{}
	}
}

func prefixOfRow(row *windows.MibIpForwardRow2) netip.Prefix {
	return netip.PrefixFrom(addrOf(&row.DestinationPrefix.Prefix), int(row.DestinationPrefix.PrefixLength)).Masked()
}

// adapter is what Windows calls an interface, what it is, and what its driver says.
func adapter(index uint32) (name string, kind Kind, description string) {
	row := windows.MibIfRow2{InterfaceIndex: index}
	if err := windows.GetIfEntry2Ex(windows.MibIfEntryNormal, &row); err != nil {
		return "", Other, "" // it has just gone
	}
	description = windows.UTF16ToString(row.Description[:])
	return windows.UTF16ToString(row.Alias[:]), ofWindows(row.Type, description), description
}

// describe says what an interface is.
func describe(one net.Interface) (Kind, string) {
	_, kind, description := adapter(uint32(one.Index))
	return kind, description
}

// table lists the routes of both families.
func table() ([]entry, error) {
	var rows *windows.MibIpForwardTable2
	if err := windows.GetIpForwardTable2(windows.AF_UNSPEC, &rows); err != nil {
		return nil, err
	}
	defer windows.FreeMibTable(unsafe.Pointer(rows))
	var all []entry
	for i := range rows.Rows() {
		row := &rows.Rows()[i]
		if prefix := prefixOfRow(row); prefix.IsValid() && row.Loopback == 0 {
			all = append(all, entry{prefix, int(row.InterfaceIndex)})
		}
	}
	return all, nil
}
