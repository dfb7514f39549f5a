import { readFile } from 'node:fs/promises'

import { expect, test } from './world'

test.describe.configure({ mode: 'serial' })

test('a Deployment and a Service are made by a form', async ({ visit, world }) => {
  const page = await visit('/deploy')
  await page.getByLabel('Name', { exact: true }).fill('shop')
  await page.getByLabel('Namespace', { exact: true }).selectOption('default')
  await page.getByLabel('Image').fill('registry.example/shop:1')
  await page.getByLabel('Replicas').fill('2')
  await page.getByLabel('Port', { exact: true }).fill('8080')
  await page.getByLabel('Also create a Service').check()
  await page.getByRole('group', { name: 'Environment' }).getByRole('button', { name: 'Add' }).click()
  await page.getByLabel('Environment: name 1').fill('COLOUR')
  await page.getByLabel('Environment: value 1').fill('green')
  await expect(page.getByLabel('What will be created').last()).toContainText('kind: Service')
  await page.getByRole('button', { name: 'Deploy' }).click()
  await expect(page.getByRole('heading', { name: 'shop' })).toBeVisible()
  await expect(page.getByText('Ready', { exact: true }).first()).toBeVisible()
  const image = await world.kubectl(
    'get',
    'deployment',
    'shop',
    '-o',
    'jsonpath={.spec.template.spec.containers[0].env[0].value}',
  )
  expect(image).toBe('green')
  expect(await world.kubectl('get', 'service', 'shop', '-o', 'jsonpath={.spec.ports[0].port}')).toBe('8080')
})

test('several objects are made from YAML, and a mistake is told', async ({ visit, world }) => {
  const page = await visit('/create')
  const editor = page.getByRole('textbox', { name: 'YAML to create' })
  await editor.fill('apiVersion: v1\nkind: Nonsense\nmetadata: {name: a}\n')
  await page.getByRole('button', { name: 'Create', exact: true }).click()
  await expect(page.getByRole('alert')).toHaveText('The cluster does not serve Nonsense of v1.')
  const objects = ['a', 'b'].map(
    (name) => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: from-yaml-${name}}\ndata: {letter: ${name}}\n`,
  )
  await editor.fill(objects.join('---\n'))
  await page.getByRole('button', { name: 'Create', exact: true }).click()
  await expect(page.getByRole('heading', { name: 'from-yaml-b' })).toBeVisible()
  expect(await world.kubectl('get', 'configmap', 'from-yaml-a', '-o', 'jsonpath={.data.letter}')).toBe('a')
})

test('a workload is scaled from the list of all', async ({ visit, world }) => {
  const page = await visit('/workloads?ns=default')
  const row = page.getByRole('row', { name: /shop/ })
  await expect(row).toContainText('2/2')
  await row.getByRole('button', { name: /Actions/ }).click()
  await page.getByRole('menuitem', { name: 'Scale' }).click()
  await expect(page.getByLabel('Replicas')).toHaveValue('2')
  await page.getByLabel('Replicas').fill('3')
  await page.getByRole('dialog').getByRole('button', { name: 'Scale' }).click()
  await expect(row).toContainText('3/3')
  expect(await world.kubectl('get', 'deployment', 'shop', '-o', 'jsonpath={.spec.replicas}')).toBe('3')
})

test('a log is followed, searched and wrapped', async ({ visit, world }) => {
  const page = await visit('/r/pods?ns=default&q=shop')
  await page
    .getByRole('link', { name: /^shop-/ })
    .first()
    .click()
  await page.getByRole('tab', { name: 'Logs' }).click()
  const log = page.getByRole('log')
  await expect(log).toContainText('first line')
  await world.tell('log the order was green')
  await expect(log).toContainText('the order was green')
  await page.getByPlaceholder('Search').fill('GREEN')
  await expect(page.getByText('1 of 1', { exact: true })).toBeVisible()
  await page.getByLabel('Matches only').check()
  await expect(log).not.toContainText('first line')
  const [saved] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download' }).click()])
  expect(saved.suggestedFilename()).toMatch(/^shop-.*\.log$/)
})

test('what a container logged before it was started anew is shown and saved', async ({ visit }) => {
  const page = await visit('/r/pods?ns=default&q=shop')
  await page
    .getByRole('link', { name: /^shop-/ })
    .first()
    .click()
  await page.getByRole('tab', { name: 'Logs' }).click()
  const log = page.getByRole('log')
  await expect(log).toContainText('first line')
  await page.getByLabel('Previous run').check()
  await expect(log).toContainText('line of the run before')
  await expect(log).not.toContainText('first line')
  await expect(page.getByText('Ended', { exact: true })).toBeVisible()
  const [saved] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download' }).click()])
  expect(await readFile(await saved.path(), 'utf8')).toBe('2025-12-31T00:00:00.000000000Z line of the run before\n')
  await page.getByLabel('Previous run').uncheck()
  await expect(log).toContainText('first line')
  await expect(log).not.toContainText('line of the run before')
})

test('the logs of all pods of a workload are one', async ({ visit, world }) => {
  const page = await visit('/r/deployments.apps/default/shop?tab=logs')
  const log = page.getByRole('log')
  await expect(log).toContainText('first line')
  await expect(log).toContainText(/shop-[a-z0-9-]+\s*first line/)
  await world.tell('log all of them say so')
  await expect(log).toContainText('all of them say so')
  await expect(page.getByText(/^\d+ pods?$/)).toBeVisible()
})

test('a shell runs commands', async ({ visit }) => {
  const page = await visit('/r/pods?ns=default&q=shop')
  await page
    .getByRole('link', { name: /^shop-/ })
    .first()
    .click()
  await page.getByRole('tab', { name: 'Shell' }).click()
  await expect(page.getByRole('status').filter({ hasText: 'Connected' })).toBeAttached()
  await page.keyboard.type('echo answer $((40+2))\n')
  await expect(page.locator('.xterm-rows')).toContainText('answer 42')
  await page.keyboard.type('exit\n')
  await expect(page.getByText('The shell has ended')).toBeVisible()
})

test('a kubectl shell is at hand everywhere in a cluster', async ({ visit, world }) => {
  const page = await visit('/r/configmaps')
  await expect(page.getByRole('heading', { name: 'ConfigMaps' })).toBeVisible()
  await page.keyboard.press('Control+Backquote')
  const dock = page.getByRole('region', { name: 'kubectl shell in real' })
  const screen = dock.locator('.xterm-rows')
  await expect(screen).toContainText('Starting a kubectl shell in real.')
  await expect(screen).toContainText(/[$#>] *$/)
  await page.keyboard.type('echo answer $((40+2))\n')
  await expect(screen).toContainText('answer 42')
  // It stays while one goes elsewhere.
  await page.getByRole('link', { name: 'Nodes', exact: true }).click()
  await expect(page.getByRole('heading', { name: 'Nodes' })).toBeVisible()
  await expect(screen).toContainText('answer 42')
  await dock.getByRole('separator').focus()
  const before = (await dock.boundingBox())?.height ?? 0
  await page.keyboard.press('ArrowUp')
  await expect.poll(async () => (await dock.boundingBox())?.height ?? 0).toBeGreaterThan(before)
  const left = (): Promise<string> => world.kubectl('get', 'pods', '-n', 'cattle-system', '-l', 'drover.dev/shell', '-o', 'name')
  expect(await left()).toContain('dashboard-shell-')
  await dock.getByRole('button', { name: 'Close the shell' }).click()
  await expect(dock).toBeHidden()
  await expect.poll(left, { timeout: 30_000 }).toBe('')
})

test('a rollout is compared with an earlier revision and rolled back', async ({ visit, world }) => {
  await world.kubectl('set', 'image', 'deployment/shop', 'shop=registry.example/shop:2')
  await world.kubectl('rollout', 'status', 'deployment/shop', '--timeout=60s')
  const page = await visit('/r/deployments.apps/default/shop?tab=revisions')
  await expect(page.getByRole('row', { name: /registry.example\/shop:2/ })).toContainText('current')
  await page
    .getByRole('row', { name: /registry.example\/shop:1/ })
    .getByRole('button', { name: 'Compare' })
    .click()
  await expect(page.getByLabel('Changes')).toContainText('registry.example/shop:1')
  await page.getByRole('button', { name: 'Roll back' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click()
  await expect(page.getByRole('row', { name: /registry.example\/shop:1/ })).toContainText('current')
  const images = await world.kubectl('get', 'deployment', 'shop', '-o', 'jsonpath={.spec.template.spec.containers[*].image}')
  expect(images).toBe('registry.example/shop:1')
})

test('a rollout is paused and goes on', async ({ visit, world }) => {
  const page = await visit('/r/deployments.apps/default/shop')
  await page.getByRole('button', { name: 'Actions', exact: true }).click()
  await page.getByRole('menuitem', { name: 'Pause rollout' }).click()
  await expect(page.getByText('Paused', { exact: true })).toBeVisible()
  await page.getByRole('button', { name: 'Actions', exact: true }).click()
  await page.getByRole('menuitem', { name: 'Resume rollout' }).click()
  await expect(page.getByText('Paused', { exact: true })).toBeHidden()
  expect(await world.kubectl('get', 'deployment', 'shop', '-o', 'jsonpath={.spec.paused}')).toBe('')
})

test('values of a Secret are hidden until asked for', async ({ visit, world }) => {
  await world.kubectl('create', 'secret', 'generic', 'door', '--from-literal=code=sesame')
  const page = await visit('/r/secrets/default/door')
  await expect(page.getByText('code')).toBeVisible()
  await expect(page.getByText('sesame')).toBeHidden()
  await page.getByRole('button', { name: 'Show' }).click()
  await expect(page.getByText('sesame')).toBeVisible()
})

test('a copy begins without what belongs to the original', async ({ visit, world }) => {
  const page = await visit('/r/services/default/shop')
  await page.getByRole('button', { name: 'Actions', exact: true }).click()
  await page.getByRole('menuitem', { name: 'Clone' }).click()
  await expect(page.getByLabel('YAML to create')).toContainText('shop-copy')
  await page.getByRole('button', { name: 'Create', exact: true }).click()
  await expect(page.getByRole('heading', { name: 'shop-copy' })).toBeVisible()
  expect(await world.kubectl('get', 'service', 'shop-copy', '-o', 'jsonpath={.spec.ports[0].port}')).toBe('8080')
})

test('a node is cordoned and takes pods again', async ({ visit, world }) => {
  const page = await visit('/nodes')
  const row = page.getByRole('row', { name: /node-1/ })
  await row.getByRole('button', { name: /Actions/ }).click()
  await page.getByRole('menuitem', { name: 'Cordon' }).click()
  await expect(row).toContainText('SchedulingDisabled')
  await row.getByRole('button', { name: /Actions/ }).click()
  await page.getByRole('menuitem', { name: 'Uncordon' }).click()
  await expect(row).not.toContainText('SchedulingDisabled')
  expect(await world.kubectl('get', 'node', 'node-1', '-o', 'jsonpath={.spec.unschedulable}')).toBe('')
})

test('a deletion names what goes along', async ({ visit, world }) => {
  await world.kubectl('create', 'deployment', 'doomed', '--image=registry.example/doomed:1')
  await world.kubectl('rollout', 'status', 'deployment/doomed', '--timeout=60s')
  const page = await visit('/r/deployments.apps?ns=default')
  await page
    .getByRole('row', { name: /doomed/ })
    .getByRole('button', { name: /Actions/ })
    .click()
  await page.getByRole('menuitem', { name: 'Delete' }).click()
  const dialog = page.getByRole('dialog')
  await expect(dialog).toContainText('ReplicaSet default/doomed-')
  await expect(dialog).toContainText('Pod default/doomed-')
  await dialog.getByRole('button', { name: 'Delete' }).click()
  await expect(page.getByRole('row', { name: /doomed/ })).toHaveCount(0)
  expect(await world.kubectl('get', 'deployments', '-o', 'name')).not.toContain('doomed')
})

test('a Service and a Secret are made by forms, and what a workload owns is shown', async ({ visit, world }) => {
  const page = await visit('/r/services')
  await page.getByRole('link', { name: 'Create Service' }).click()
  await page.getByLabel('Name', { exact: true }).fill('by-form')
  await page.getByLabel('Namespace', { exact: true }).selectOption('default')
  await page.getByLabel('Port of the pods').fill('http')
  await page.getByLabel('Pods with these labels: value 1').fill('web')
  await page.getByRole('button', { name: 'Create', exact: true }).click()
  await expect(page.getByRole('heading', { name: 'by-form' })).toBeVisible()
  const service = JSON.parse(await world.kubectl('get', 'service', 'by-form', '-o', 'json'))
  expect(service.spec).toMatchObject({ selector: { app: 'web' }, ports: [{ port: 80, targetPort: 'http' }] })

  await visit('/new/secrets')
  await page.getByLabel('Name', { exact: true }).fill('by-form')
  await page.getByLabel('Type').selectOption('User name and password')
  await page.getByLabel('User name').fill('me')
  await page.getByLabel('Password of the user: value 1').fill('not-shown')
  await expect(page.getByLabel('What will be created')).toContainText('password: ••')
  await page.getByRole('button', { name: 'Create', exact: true }).click()
  await expect(page.getByRole('heading', { name: 'by-form' })).toBeVisible()
  const secret = JSON.parse(await world.kubectl('get', 'secret', 'by-form', '-o', 'json'))
  expect(Buffer.from(secret.data.password, 'base64').toString()).toBe('not-shown')

  await world.kubectl('create', 'deployment', 'owner', '--image=registry.example/owner:1')
  await world.kubectl('rollout', 'status', 'deployment/owner', '--timeout=60s')
  await visit('/r/deployments.apps/default/owner')
  const owned = page.getByRole('region', { name: 'Owns' }).or(page.locator('section', { hasText: 'Owns' }))
  await expect(owned.first()).toContainText('ReplicaSet')
  await expect(owned.first().getByRole('link', { name: /^owner-\w+-\w+$/ })).toBeVisible()

  await page.keyboard.press('Control+k')
  await page.getByRole('combobox').fill('owner')
  const hit = page.getByRole('option').filter({ hasText: 'deployment' }).filter({ hasText: 'default' })
  await expect(hit.first()).toContainText('owner')
})

test('the log of a pod that is deleted has ended, and what was read of it stays', async ({ visit, world }) => {
  await world.kubectl('run', 'brief', '--image=registry.example/brief:1')
  await world.kubectl('wait', 'pod/brief', '--for=condition=Ready', '--timeout=60s')
  const page = await visit('/r/pods/default/brief?tab=logs')
  await expect(page.getByText('Live', { exact: true })).toBeVisible()
  await world.tell('log the last words')
  await expect(page.getByText('the last words')).toBeVisible()
  await world.kubectl('delete', 'pod', 'brief', '--now')
  await expect(page.getByText('Ended', { exact: true })).toBeVisible()
  await expect(page.getByText('the last words')).toBeVisible()
  // The cluster has it no longer.
  const saved = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Download' }).click()
  expect(await readFile(await (await saved).path(), 'utf8')).toContain('the last words')
})
