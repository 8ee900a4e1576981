// Package source puts what several sources say into one configuration: the main file
// and those it names, hosts files, and what is learned from Azure.
//
// A [Source] gives complete sets: all that it maps, each mapping with its [Origin], or
// the last set that was complete and why there is no newer one. It never gives half.
// [Compose] adds the sets to the configuration that names the networks; what comes of
// it is checked, built and swapped as what a file alone says.
//
// Authority goes down: a name that is written by hand is not learned, and of two
// sources that learn it the first one counts. What gives way is a [Difference], which
// operators are shown, and never a fault: nothing that others do in Azure keeps a
// configuration from being served.
package source
