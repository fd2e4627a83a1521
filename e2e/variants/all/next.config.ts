import { resolve } from 'node:path'
import type { NextConfig } from 'next'

const config: NextConfig = {
  // The packages are installed two folders up, in the example itself.
  turbopack: { root: resolve(import.meta.dirname, '../..') },
}

export default config
