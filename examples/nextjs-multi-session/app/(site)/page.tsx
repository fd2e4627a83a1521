import Link from 'next/link'
import CurrentUser from '../components/CurrentUser'
import RemountDemo from '../components/RemountDemo'

export default function Home() {
  return (
    <>
      <h1>Several accounts, one browser</h1>

      <CurrentUser />

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
