import Link from 'next/link'
import { Show } from '@clerk/nextjs'
import CurrentUser from '../components/CurrentUser'
import RemountDemo from '../components/RemountDemo'

export default function Home() {
  return (
    <>
      <h1>Several accounts, one browser</h1>

      <Show when="signed-out">
        <p data-testid="signed-out">
          Nobody is signed in. <Link href="/sign-in">Sign in</Link> or <Link href="/sign-up">make an account</Link>.
        </p>
      </Show>
      <Show when="signed-in">
        <p data-testid="signed-in">
          Signed in as <CurrentUser />. Open the round button above to add an account or to switch.
        </p>
      </Show>

      <RemountDemo />

      <section className="card">
        <h2>Where to go</h2>
        <ul>
          <li>
            <Link href="/protected">Protected</Link>: a server page that shows the claims of the session token.
          </li>
          <li>
            <Link href="/accounts">Accounts</Link>: the same switching with buttons of our own.
          </li>
          <li>
            <a href="/api/whoami">/api/whoami</a>: what a route handler knows.
          </li>
        </ul>
      </section>
    </>
  )
}
