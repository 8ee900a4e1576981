// Package store is where the releases of a fleet are: in etcd, or in a folder that any web
// server or blob container serves.
//
// A [Store] holds objects, which are named by what is in them and never change, and
// channels, each of which is one small value that names a release. So a release of any
// size appears from one moment to the next, when its channel is swapped, and whoever was
// not there meanwhile only has to read the channel again.
//
// A [Follower] is an instance's side: it fetches what its channel names, holds every object
// against its digest, offers the release to whoever serves, and keeps the last one that was
// served on disk. [Shared] is what one instance, which all elect, publishes for the others,
// such as its listing of Azure. Nothing here is on the path of a query, and with the store away
// everything stays as it is.
package store
