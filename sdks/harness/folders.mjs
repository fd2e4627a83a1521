import { join, resolve } from 'node:path'

export const SDKS = resolve(import.meta.dirname, '..')
export const ROOT = resolve(SDKS, '..')
/** What a run leaves behind: logs, data folders, what was built. */
export const STATE = join(SDKS, '.state')
