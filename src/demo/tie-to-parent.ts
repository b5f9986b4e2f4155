// Preloaded (`node --import`) into the service that the demo starts: ends it when the demo is gone, SIGKILL included. The
// channel between the two closes with the demo's process, whatever ended that.
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'))
// It must not keep alive a service that has stopped.
process.channel?.unref()
