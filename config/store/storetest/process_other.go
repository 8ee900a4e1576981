//go:build !linux

package storetest

import "syscall"

func dieWithTest() *syscall.SysProcAttr { return nil }
