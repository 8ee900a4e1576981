package main

import sd "github.com/coreos/go-systemd/v22/daemon"

// notify tells the service manager that started the program how it does, if it
// wants to know (sd_notify(3)). The state must hold nothing that came from outside:
// each line of it is an order to the manager.
func (s *server) notify(state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		s.log.Warn("the service manager could not be told", "error", err)
	}
}

// reloading is the state during a reload; a manager that has asked for it by a
// signal wants to know that it began after that.
func reloading() string { return sd.SdNotifyReloading + "\n" + sd.SdNotifyMonotonicUsec() }

// ready is the state while queries are answered. The status is for people.
func ready(status string) string { return sd.SdNotifyReady + "\nSTATUS=" + status }

// stopping is the state from when nothing is read any more.
func stopping() string { return sd.SdNotifyStopping }
