'use client'

import { useEffect, useState } from 'react'

// Lives until the next page load, so what it counts are the mounts that no page load explains.
let mounts = 0

export default function RemountDemo() {
  const [mount, setMount] = useState<number>()

  useEffect(() => setMount(++mounts), [])

  return (
    <section className="card">
      <h2>Switching starts afresh</h2>
      <p>
        This is mount number <output data-testid="mount-count">{mount ?? '…'}</output> since the page was loaded. Write
        something, then switch the account: React builds the tree anew, and what one account wrote is never shown to the
        next.
      </p>
      <label htmlFor="note">A note that React does not keep</label>
      <input id="note" data-testid="note" placeholder="Write here, then switch" />
    </section>
  )
}
