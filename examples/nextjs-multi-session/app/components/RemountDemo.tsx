'use client'

import { useEffect, useState } from 'react'

// Lives as long as the page in the browser, so it counts the mounts that no full page load explains.
let mounts = 0

export default function RemountDemo() {
  const [mount, setMount] = useState<number>()

  useEffect(() => setMount(++mounts), [])

  return (
    <section className="card">
      <h2>Switching starts afresh</h2>
      <p>
        This part of the page was mounted <output data-testid="mount-count">{mount ?? '…'}</output> times. Write
        something, then switch the account: React builds the tree anew, and what one account wrote is never shown to the
        next.
      </p>
      <label htmlFor="note">A note that React does not keep</label>
      <input id="note" data-testid="note" placeholder="Write here, then switch" />
    </section>
  )
}
