// Children that never outlive the run, however it ends.
import type { ChildProcess } from 'node:child_process'

const STOP_WITHIN_MS = 5_000
const children = new Set<ChildProcess>()

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

export function ends(child: ChildProcess): Promise<void> {
  children.add(child)
  return new Promise((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume()
    child.once('error', () => resume())
    child.once('exit', () => {
      children.delete(child)
      resume()
    })
  })
}

export async function stop(child: ChildProcess): Promise<void> {
  const ended = ends(child)
  child.kill('SIGTERM')
  const forced = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS)
  await ended
  clearTimeout(forced)
}
