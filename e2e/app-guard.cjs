// Loaded into each app: no connection leaves this machine, and the app ends with the run that started it.
const { appendFileSync } = require('node:fs')
const { Socket } = require('node:net')

const LOOPBACK = /^(localhost|.*\.localhost|127(\.\d+){3}|::1|::ffff:127(\.\d+){3}|0\.0\.0\.0|::)$/
const connect = Socket.prototype.connect

Socket.prototype.connect = function (...given) {
  const first = Array.isArray(given[0]) ? given[0][0] : given[0]
  const options = typeof first === 'object' ? first : { port: first, host: given[1] }
  const host = options.path ? undefined : options.host
  if (typeof host === 'string' && !LOOPBACK.test(host)) {
    appendFileSync(process.env.OUTSIDE_LOG, `${host}:${options.port}\n`)
    process.nextTick(() => this.destroy(new Error(`The tests allow no connection to ${host}`)))
    return this
  }
  return connect.apply(this, given)
}

const parent = process.ppid
setInterval(() => process.ppid !== parent && process.exit(1), 500).unref()
