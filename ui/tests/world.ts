/** A real server with a real cluster (`drover-world` of the testkit), and pages that are signed in to it. */

import { execFile, spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { expect, test as base, type APIRequestContext, type Cookie, type Page } from '@playwright/test'

import { serveBuilt } from './built'

const run = promisify(execFile)

interface Place {
  url: string
  password: string
  kubectl: string
  kubeconfig: string
}

/** The administrator's password after the first start. */
export const PASSWORD = 'ui-tests-have-long-passwords'

export class World {
  private answers: ((line: string) => void)[] = []
  /** The administrator's session: a login costs time on purpose. */
  private session: Cookie[] = []
  /** Id of the imported cluster, once there is one. */
  cluster = ''

  private constructor(
    private readonly child: ChildProcessWithoutNullStreams,
    private readonly lines: Interface,
    readonly place: Place,
  ) {
    lines.on('line', (line) => this.answers.shift()?.(line))
  }

  static async start(): Promise<World> {
    const target = process.env.CARGO_TARGET_DIR ?? fileURLToPath(new URL('../../target', import.meta.url))
    const child = spawn(`${target}/${process.env.DROVER_TEST_PROFILE ?? 'debug'}/drover-world`, {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    let errors = ''
    child.stderr.on('data', (piece: Buffer) => (errors += piece.toString()))
    const lines = createInterface({ input: child.stdout })
    const first = await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve)
      child.once('error', reject)
      child.once('exit', (code) => reject(new Error(`drover-world ended with ${code}: ${errors}`)))
    })
    return new World(child, lines, JSON.parse(first) as Place)
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('exit', resolve))
    this.child.stdin.end()
    await ended
    this.lines.close()
  }

  /** `hub stop`, `hub start`, `agents stop`, `agents start`, `log TEXT`. */
  async tell(command: string): Promise<void> {
    const answer = new Promise<string>((resolve) => this.answers.push(resolve))
    this.child.stdin.write(`${command}\n`)
    expect(await answer).toBe('ok')
  }

  /** The cluster's own kubectl, as its owner. */
  async kubectl(...args: string[]): Promise<string> {
    return (await run(this.place.kubectl, ['--kubeconfig', this.place.kubeconfig, ...args])).stdout
  }

  /** Makes an object of the cluster past the UI. */
  apply(object: object): Promise<void> {
    return this.shell(`echo '${JSON.stringify(object)}' | kubectl apply -f - >/dev/null`)
  }

  /** Runs a command that the import page shows, with the tools of the owner of the cluster. */
  async shell(command: string): Promise<void> {
    const folder = this.place.kubectl.slice(0, this.place.kubectl.lastIndexOf('/'))
    const env = { ...process.env, PATH: `${folder}:${process.env.PATH}`, KUBECONFIG: this.place.kubeconfig }
    await run('bash', ['-o', 'pipefail', '-c', command], { env })
  }

  /** Signs a page's browser in, past the first start if nobody went through it yet. */
  async signIn(page: Page, username = 'admin', password = PASSWORD): Promise<void> {
    const own = username === 'admin' && password === PASSWORD
    if (own && this.session.length > 0) return page.context().addCookies(this.session)
    const request = page.context().request
    const login = (secret: string) =>
      request.post(`${this.place.url}/v3-public/localProviders/local?action=login`, {
        data: { username, password: secret, responseType: 'cookie' },
      })
    let answer = await login(password)
    if (answer.status() === 401 && username === 'admin') {
      answer = await login(this.place.password)
      const body = { currentPassword: this.place.password, newPassword: password }
      const changed = await this.call(request, 'POST', '/v3/users?action=changepassword', body)
      expect(changed.status).toBe(200)
    }
    expect(answer.status()).toBe(200)
    if (own) this.session = await page.context().cookies()
  }

  /** One request to the API with the cookies of a browser. */
  async call(request: APIRequestContext, method: string, path: string, data?: unknown): Promise<{ status: number; body: any }> {
    // Whoever sends no User-Agent of a browser is not asked for the CSRF token.
    const answer = await request.fetch(this.place.url + path, { method, data, headers: { 'User-Agent': 'drover-ui-tests' } })
    const text = await answer.text()
    return { status: answer.status(), body: text === '' ? undefined : JSON.parse(text) }
  }

  /** Imports the cluster unless a test did so already. */
  async imported(page: Page): Promise<string> {
    if (this.cluster !== '') return this.cluster
    const request = page.context().request
    const made = await this.call(request, 'POST', '/v3/clusters', { type: 'cluster', name: 'real' })
    const id = made.body.id as string
    await expect
      .poll(async () => {
        const tokens = await this.call(request, 'GET', `/v3/clusterregistrationtokens?clusterId=${id}`)
        return tokens.body.data[0]?.insecureCommand ?? ''
      })
      .toContain('kubectl')
    const tokens = await this.call(request, 'GET', `/v3/clusterregistrationtokens?clusterId=${id}`)
    await this.shell(tokens.body.data[0].insecureCommand)
    await expect
      .poll(async () => (await this.call(request, 'GET', `/v3/clusters/${id}`)).body.state, { timeout: 60_000 })
      .toBe('active')
    await expect
      .poll(async () => (await this.call(request, 'GET', `/k8s/clusters/${id}/api/v1/namespaces`)).status, { timeout: 30_000 })
      .toBe(200)
    this.cluster = id
    return id
  }
}

interface Fixtures {
  /** A page of the administrator. */
  admin: Page
  /** Opens a place of the UI in the imported cluster. */
  visit: (place: string) => Promise<Page>
}

export const test = base.extend<Fixtures, { world: World }>({
  world: [
    async ({}, use) => {
      const world = await World.start()
      await use(world)
      await world.stop()
    },
    { scope: 'worker', timeout: 120_000 },
  ],
  baseURL: async ({ world }, use) => use(world.place.url),
  context: async ({ context }, use) => {
    if (process.env.DROVER_UI === 'built') await serveBuilt(context)
    await use(context)
  },
  page: async ({ page }, use) => {
    const problems: string[] = []
    page.on('pageerror', (error) => problems.push(`${error.message}\n${error.stack}`))
    page.on('console', (message) => {
      // A refusal of the security policy is a mistake of ours, save for what the browser itself writes into text that is
      // being edited: that has no place in a script, is refused, and the editor draws the line anew.
      const ours = message.location().url.endsWith('.js') || message.location().lineNumber > 0
      if (message.text().includes('Content Security Policy') && ours) problems.push(message.text())
      // What the network refuses is the business of each test; other errors are ours (`main.ts` logs those of components).
      const network = /Failed to load resource|WebSocket connection|net::/.test(message.text())
      if (message.type() === 'error' && !network && !message.text().includes('Content Security Policy'))
        problems.push(message.text())
    })
    await use(page)
    expect(problems).toEqual([])
  },
  admin: async ({ page, world }, use) => {
    await world.signIn(page)
    await use(page)
  },
  visit: async ({ admin, world }, use) => {
    const id = await world.imported(admin)
    await use(async (place) => {
      await admin.goto(`/dashboard/c/${id}${place}`)
      return admin
    })
  },
})

export { expect }
