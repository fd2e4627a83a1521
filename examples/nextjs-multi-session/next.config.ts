import type { NextConfig } from 'next'

const config: NextConfig = {
  // Without a root of its own, Next.js looks for lock files in the folders above and may choose the wrong one.
  turbopack: { root: import.meta.dirname },
}

export default config
