import { join, resolve } from 'node:path'

export const E2E = import.meta.dirname
export const EXAMPLE = resolve(E2E, '../examples/nextjs-multi-session')

/** What a person may want to look at after a run: logs, screenshots, traces of failures. */
export const RESULTS = join(E2E, 'results')

/** What one run leaves for the next, so that unchanged variants need no new build. */
export const STATE = join(E2E, '.state')
