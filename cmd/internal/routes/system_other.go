//go:build !linux && !windows && !darwin

package routes

import (
	"errors"
	"net"
	"net/netip"
)

func lookup(netip.Addr) (Route, error) { return Route{}, errors.ErrUnsupported }

func describe(net.Interface) (Kind, string) { return Other, "" }

func table() ([]entry, error) { return nil, errors.ErrUnsupported }
