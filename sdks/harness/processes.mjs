import { createInterface } from 'node:readline'

const READY_WITHIN_MS = 60_000

/** The first line of JSON that a process writes to stdout; frameworks may greet before it. */
export async function firstLine(child, what) {
  const ended = new Promise((_, refuse) => {
    child.once('error', refuse)
    child.once('exit', (code, signal) => refuse(new Error(`${what} ended before it was ready (${code ?? signal})`)))
    setTimeout(() => refuse(new Error(`${what} was not ready within ${READY_WITHIN_MS / 1000} s`)), READY_WITHIN_MS).unref()
  })
  const line = (async () => {
    for await (const line of createInterface({ input: child.stdout })) if (line.startsWith('{')) return line
  })()
  const found = await Promise.race([line, ended])
  // Whatever else it writes must not fill the pipe.
  child.stdout.resume()
  if (found === undefined) throw new Error(`${what} wrote nothing`)
  return found
}

export async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resume) => child.once('exit', resume))
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await ended
  clearTimeout(late)
}
