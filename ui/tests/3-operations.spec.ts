/** What operators do beside deploying: drains, runs by hand, revisions, several objects at once, finding what is broken. */

import { readFile } from 'node:fs/promises'

import { lookOver } from './looks'
import { expect, test } from './world'

test.afterAll(async ({ world }) => {
  const made = ['deployment/drained', 'deployment/twin-a', 'deployment/twin-b', 'deployment/kitchen', 'statefulset/store']
  await world.kubectl('delete', ...made, 'cronjob/nightly', '--ignore-not-found')
})

test('a drain shows what it does to each pod, and does that', async ({ visit, world }) => {
  await world.kubectl('create', 'deployment', 'drained', '--image=registry.example/drained:1')
  await world.kubectl('rollout', 'status', 'deployment/drained', '--timeout=60s')
  // For a moment there may be none, or the one that goes and the one that comes.
  const nodesOf = async (): Promise<string[]> => {
    const found = await world.kubectl('get', 'pods', '-l', 'app=drained', '-o', 'jsonpath={.items[*].spec.nodeName}')
    return found.split(' ').filter(Boolean)
  }
  const [node = ''] = await nodesOf()
  const lonely = { spec: { nodeName: node, containers: [{ name: 'lonely', image: 'registry.example/lonely:1' }] } }
  await world.apply({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'lonely', namespace: 'default' }, ...lonely })
  const page = await visit('/nodes')
  await page
    .getByRole('row', { name: new RegExp(node) })
    .getByRole('button', { name: /Actions/ })
    .click()
  await page.getByRole('menuitem', { name: 'Drain' }).click()
  const dialog = page.getByRole('dialog', { name: `Drain ${node}?` })
  const fate = (pod: string): ReturnType<typeof dialog.getByRole> => dialog.getByRole('listitem').filter({ hasText: pod })
  await expect(fate('default/drained-')).toContainText('is evicted')
  await expect(fate('default/lonely')).toContainText('nothing would start it again')
  await expect(dialog.getByRole('button', { name: 'Drain' })).toBeDisabled()
  await dialog.getByLabel('Delete pods that nothing would start again').check()
  await expect(fate('default/lonely')).toContainText('is evicted')
  await dialog.getByLabel('Delete pods with local data').check()
  await dialog.getByRole('button', { name: 'Drain' }).click()
  await expect(page.getByText(`${node} is being drained`)).toBeVisible()
  await expect(page.getByRole('row', { name: new RegExp(node) })).toContainText('SchedulingDisabled')
  await expect.poll(() => world.kubectl('get', 'pods', '-o', 'name')).not.toContain('pod/lonely')
  await expect.poll(async () => (await nodesOf()).filter((one) => one !== node).length).toBe(1)

  // Several nodes at once take pods again, one of them had never stopped.
  await page.getByRole('checkbox', { name: 'Select all' }).check()
  await page.getByRole('button', { name: '3 selected' }).click()
  await page.getByRole('menuitem', { name: 'Uncordon' }).click()
  await expect(page.getByRole('row', { name: new RegExp(node) })).not.toContainText('SchedulingDisabled')
})

test('a node has a page with its pods and what can be done with it', async ({ visit, world }) => {
  const page = await visit('/r/nodes/_/node-2')
  await expect(page.getByRole('meter', { name: 'Pods' })).toBeAttached()
  await page.getByRole('tab', { name: 'Pods' }).click()
  const names = await world.kubectl('get', 'pods', '-A', '--field-selector=spec.nodeName=node-2', '-o', 'name')
  const [first = ''] = names.trim().split('\n')
  if (first !== '') await expect(page.getByRole('link', { name: first.replace('pod/', ''), exact: true })).toBeVisible()
  await page.getByRole('button', { name: 'Actions', exact: true }).click()
  await page.getByRole('menuitem', { name: 'Cordon' }).click()
  await expect.poll(() => world.kubectl('get', 'node', 'node-2', '-o', 'jsonpath={.spec.unschedulable}')).toBe('true')
  await page.getByRole('button', { name: 'Actions', exact: true }).click()
  await page.getByRole('menuitem', { name: 'Uncordon' }).click()
  await expect.poll(() => world.kubectl('get', 'node', 'node-2', '-o', 'jsonpath={.spec.unschedulable}')).toBe('')
})

test('a CronJob is run by hand, suspended and goes on', async ({ visit, world }) => {
  await world.kubectl('create', 'cronjob', 'nightly', '--image=registry.example/nightly:1', '--schedule=0 3 1 1 *')
  const page = await visit('/r/cronjobs.batch/default/nightly')
  const act = async (item: string): Promise<void> => {
    await page.getByRole('button', { name: 'Actions', exact: true }).click()
    await page.getByRole('menuitem', { name: item, exact: true }).click()
  }
  const suspended = (): Promise<string> => world.kubectl('get', 'cronjob', 'nightly', '-o', 'jsonpath={.spec.suspend}')
  await expect(page.getByText('0 3 1 1 *')).toBeVisible()
  await act('Suspend')
  await expect.poll(suspended).toBe('true')
  await act('Resume schedule')
  await expect.poll(suspended).toBe('false')
  await act('Run now')
  await expect(page.getByRole('heading', { name: /^nightly-/ })).toBeVisible()
  await expect(page.getByRole('link', { name: 'CronJob nightly' })).toBeVisible()
  const owner = await world.kubectl('get', 'jobs', '-o', 'jsonpath={.items[*].metadata.ownerReferences[*].name}')
  expect(owner).toContain('nightly')
})

test('a StatefulSet made by the form is rolled back, and its revisions are compared', async ({ visit, world }) => {
  const page = await visit('/r/statefulsets.apps')
  await page.getByRole('link', { name: 'Create StatefulSet' }).click()
  await page.getByLabel('Name', { exact: true }).fill('store')
  await page.getByLabel('Namespace', { exact: true }).selectOption('default')
  await page.getByLabel('Image').fill('registry.example/store:1')
  await page.getByRole('button', { name: 'Deploy' }).click()
  await expect(page.getByRole('heading', { name: 'store' })).toBeVisible()
  for (const image of ['store:2', 'store:3']) {
    await world.kubectl('set', 'image', 'statefulset/store', `store=registry.example/${image}`)
    await world.kubectl('rollout', 'status', 'statefulset/store', '--timeout=60s')
  }
  await page.getByRole('tab', { name: 'Revisions' }).click()
  const row = (image: string): ReturnType<typeof page.getByRole> =>
    page.getByRole('row', { name: new RegExp(`registry.example/${image}`) })
  await expect(row('store:3')).toContainText('current')
  await row('store:1').getByRole('button', { name: 'Compare' }).click()
  await expect(page.getByLabel('Changes')).toContainText('registry.example/store:3')
  await page.getByLabel('Compared with').selectOption('revision 2')
  await expect(page.getByLabel('Changes')).toContainText('registry.example/store:2')
  await expect(page.getByRole('button', { name: 'Roll back' })).toHaveCount(0)
  await page.getByLabel('Compared with').selectOption('the present one')
  await page.getByRole('button', { name: 'Roll back' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click()
  await expect(row('store:1')).toContainText('current')
  const image = await world.kubectl('get', 'statefulset', 'store', '-o', 'jsonpath={.spec.template.spec.containers[*].image}')
  expect(image).toBe('registry.example/store:1')
})

test('several workloads are scaled and saved at once, several pods logged as one', async ({ visit, world }) => {
  for (const name of ['twin-a', 'twin-b']) await world.kubectl('create', 'deployment', name, '--image=registry.example/twin:1')
  const page = await visit('/workloads?ns=default&q=twin')
  const choose = async (): Promise<void> => {
    for (const name of ['twin-a', 'twin-b']) await page.getByRole('checkbox', { name: new RegExp(`Select .*${name}$`) }).check()
    await page.getByRole('button', { name: '2 selected' }).click()
  }
  await choose()
  await page.getByRole('menuitem', { name: 'Scale' }).click()
  await expect(page.getByLabel('Replicas')).toBeFocused()
  await page.getByLabel('Replicas').fill('2')
  await page.getByRole('dialog').getByRole('button', { name: 'Scale' }).click()
  for (const name of ['twin-a', 'twin-b']) await expect(page.getByRole('row', { name: new RegExp(name) })).toContainText('2/2')
  await page.getByRole('button', { name: '2 selected' }).click()
  const [saved] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('menuitem', { name: 'Download YAML' }).click(),
  ])
  const yaml = await readFile(await saved.path(), 'utf8')
  expect(yaml.match(/^kind: Deployment$/gm)).toHaveLength(2)

  await visit('/r/pods?ns=default&q=twin-a')
  await expect(page.getByRole('link', { name: /^twin-a-/ })).toHaveCount(2)
  await page.getByRole('checkbox', { name: 'Select all' }).check()
  await page.getByRole('button', { name: '2 selected' }).click()
  await page.getByRole('menuitem', { name: 'Logs' }).click()
  await expect(page.getByRole('heading', { name: 'Logs' })).toBeVisible()
  await expect(page.getByText('2 pods', { exact: true })).toBeVisible()
  await world.tell('log twins speak')
  const log = page.getByRole('log')
  await expect(log.getByText('twins speak')).toHaveCount(2)
  const from = await log.locator('.from').allTextContents()
  expect(new Set(from).size).toBe(2)
  const [logs] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download' }).click()])
  const text = await readFile(await logs.path(), 'utf8')
  expect(text.match(/^==> twin-a-\S+ twin <==$/gm)).toHaveLength(2)
  expect(text.match(/twins speak/g)).toHaveLength(2)
})

test('a long log is read as far back as asked for, and searched', async ({ visit }) => {
  const page = await visit('/r/pods?ns=default&q=twin-a')
  const all = 30_000
  await page.route('**/log?**', (route) => {
    const most = Number(new URL(route.request().url()).searchParams.get('tailLines'))
    const lines = Array.from({ length: Math.min(most, all) }, (_, at) => all - Math.min(most, all) + at)
    const stamp = (line: number): string => new Date(Date.UTC(2026, 0, 1) + line).toISOString()
    return route.fulfill({ contentType: 'text/plain', body: lines.map((line) => `${stamp(line)} line ${line}.\n`).join('') })
  })
  await page
    .getByRole('link', { name: /^twin-a-/ })
    .first()
    .click()
  await page.getByRole('tab', { name: 'Logs' }).click()
  const log = page.getByRole('log')
  await expect(log).toContainText('line 29999.')
  await expect(page.getByText('1,000 lines')).toBeVisible()
  await page.getByLabel('How many lines').selectOption('Newest 100,000')
  await expect(page.getByText('30,000 lines')).toBeVisible()
  await page.getByLabel('Search').fill('line 77.')
  await expect(page.getByText('1 of 1', { exact: true })).toBeVisible()
  await page.getByLabel('Search').press('Enter')
  await expect(log.getByText('line 77.')).toBeInViewport()
})

test('lines in JSON are made readable, and shown as they are when asked for', async ({ visit, world }) => {
  const page = await visit('/r/deployments.apps/default/twin-a?tab=logs')
  const log = page.getByRole('log')
  await expect(log).toContainText('first line')
  await world.tell('log {"ts":"2026-01-01T00:00:00Z","level":"warn","msg":"the cup is empty","cup":7}')
  const line = log.locator('.line').filter({ hasText: 'the cup is empty' }).first()
  await expect(line).toContainText('warn the cup is empty cup=7')
  await page.getByPlaceholder('Search').fill('EMPTY')
  await expect(line.locator('mark')).toHaveText('empty')
  await page.getByLabel('Readable').uncheck()
  await expect(line).toContainText('"level":"warn"')
})

test('a broken pod is found from the overview, with its reason', async ({ visit, world }) => {
  await world.kubectl('create', 'deployment', 'broken', '--image=registry.example/broken:1')
  await world.kubectl('rollout', 'status', 'deployment/broken', '--timeout=60s')
  const pod = await world.kubectl('get', 'pods', '-l', 'app=broken', '-o', 'jsonpath={.items[0].metadata.name}')
  const waiting = { reason: 'CrashLoopBackOff', message: 'back-off 5m0s restarting failed container' }
  const status = { name: 'broken', image: 'i', imageID: '', ready: false, restartCount: 7, state: { waiting } }
  const patch = JSON.stringify({ status: { containerStatuses: [status] } })
  await world.kubectl('patch', 'pod', pod, '--subresource=status', '--type=merge', '-p', patch)
  const page = await visit('')
  const problems = page.locator('section', { has: page.getByRole('heading', { name: 'Needs attention' }) })
  await expect(problems.getByRole('listitem').filter({ hasText: pod })).toContainText('CrashLoopBackOff')
  await expect(problems.getByRole('listitem').filter({ hasText: pod })).toContainText('7 restarts')
  await problems.getByRole('link', { name: `default/${pod}` }).click()
  await expect(page.getByRole('heading', { name: pod })).toBeVisible()
  await expect(page.getByText('CrashLoopBackOff').first()).toBeVisible()
  await world.kubectl('delete', 'deployment', 'broken')
})

test('a workload that does not come up is told in the overview, also without pods or events that say so', async ({
  visit,
  world,
}) => {
  const labels = { app: 'stuck' }
  const containers = [{ name: 'stuck', image: 'registry.example/stuck:1' }]
  await world.apply({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'stuck', namespace: 'default' },
    spec: {
      progressDeadlineSeconds: 1,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { nodeSelector: { planet: 'mars' }, containers } },
    },
  })
  const page = await visit('')
  const problems = page.locator('section', { has: page.getByRole('heading', { name: 'Needs attention' }) })
  const line = problems.getByRole('listitem').filter({ hasText: 'Deployment default/stuck' })
  await expect(line).toContainText('does not have minimum availability')
  expect(await lookOver(page, 'overview-troubled')).toEqual([])
  await line.getByRole('link').click()
  await expect(page.getByRole('heading', { name: 'stuck' })).toBeVisible()
  await world.kubectl('delete', 'deployment', 'stuck')
  await visit('')
  await expect(line).toHaveCount(0)
})

test('what uses an object is shown, and named before it is deleted', async ({ visit, world }) => {
  await world.kubectl('create', 'configmap', 'menu', '--from-literal=soup=hot')
  await world.kubectl('create', 'deployment', 'kitchen', '--image=registry.example/kitchen:1')
  await world.kubectl('set', 'env', 'deployment/kitchen', '--from=configmap/menu')
  const page = await visit('/r/configmaps/default/menu')
  const users = page.locator('section', { has: page.getByRole('heading', { name: 'Used by' }) })
  await expect(users.getByRole('link', { name: 'kitchen' })).toBeVisible()
  await page.getByRole('button', { name: 'Actions', exact: true }).click()
  await page.getByRole('menuitem', { name: 'Delete' }).click()
  await expect(page.getByRole('dialog')).toContainText('← Deployment default/kitchen')
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
  await users.getByRole('link', { name: 'kitchen' }).click()
  await expect(page.getByRole('heading', { name: 'kitchen' })).toBeVisible()
  const used = page.locator('section', { has: page.getByRole('heading', { name: 'Uses' }) })
  await used.getByRole('link', { name: 'menu' }).click()
  await expect(page.getByRole('heading', { name: 'menu' })).toBeVisible()
})

test('data is edited key by key, and what somebody else changed meanwhile is not lost', async ({ visit, world }) => {
  await world.kubectl('create', 'secret', 'generic', 'keys', '--from-literal=front=old', '--from-literal=back=old')
  const page = await visit('/r/secrets/default/keys')
  const begin = async (): Promise<ReturnType<typeof page.getByRole>> => {
    await page.getByRole('button', { name: 'Edit data' }).click()
    return page.getByRole('dialog', { name: 'Data of keys' })
  }
  const value = (key: string): Promise<string> =>
    world.kubectl('get', 'secret', 'keys', '-o', `go-template={{index .data "${key}" | base64decode}}`)
  const change = (data: object): Promise<string> =>
    world.kubectl('patch', 'secret', 'keys', '--type=merge', '-p', JSON.stringify({ stringData: data }))
  const dialog = await begin()
  // In order of keys: back, front.
  await expect(dialog.getByLabel('Data: name 2')).toHaveValue('front')
  await dialog.getByLabel('Data: value 2').fill('new\nline')
  await dialog.getByRole('button', { name: 'Add' }).click()
  await dialog.getByLabel('Data: name 3').fill('side')
  await dialog.getByLabel('Data: value 3').fill('süß')
  await change({ back: 'theirs' })
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect(dialog).toBeHidden()
  expect(await value('front')).toBe('new\nline')
  expect(await value('side')).toBe('süß')
  expect(await value('back')).toBe('theirs')

  await begin()
  await dialog.getByLabel('Data: value 2').fill('mine')
  await change({ front: 'theirs too' })
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect(dialog.getByRole('alert')).toContainText('Somebody else changed one of these keys')
  expect(await value('front')).toBe('theirs too')
  // A click beside the dialog loses nothing.
  await page.mouse.click(5, 5)
  const question = page.getByRole('dialog', { name: 'Leave without saving?' })
  await question.getByRole('button', { name: 'Cancel' }).click()
  await expect(dialog.getByLabel('Data: value 2')).toHaveValue('mine')
  await page.keyboard.press('Escape')
  await question.getByRole('button', { name: 'Leave' }).click()
  await expect(dialog).toBeHidden()
  await world.kubectl('delete', 'secret', 'keys')
})

test('registry credentials and certificates have lists of their own', async ({ visit, world }) => {
  await world.shell(
    'd=$(mktemp -d) && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout $d/k -out $d/c -days 10 -subj /CN=till.example 2>/dev/null && kubectl create secret tls till --cert=$d/c --key=$d/k >/dev/null && rm -r $d',
  )
  const page = await visit('/v/registry-credentials?ns=default')
  await page.getByRole('link', { name: 'Create Secret' }).click()
  await expect(page.getByLabel('Type')).toHaveValue('kubernetes.io/dockerconfigjson')
  await page.getByLabel('Name', { exact: true }).fill('pull')
  await page.getByLabel('Registry').fill('registry.example')
  await page.getByLabel('User name').fill('me')
  await page.getByLabel('Password of the user: value 1').fill('secret')
  await page.getByRole('button', { name: 'Create', exact: true }).click()
  await expect(page.getByRole('heading', { name: 'pull' })).toBeVisible()
  await page.getByRole('link', { name: 'Registry credentials' }).click()
  await expect(page.getByRole('link', { name: 'pull', exact: true })).toBeVisible()
  await expect(page.getByRole('link', { name: 'till', exact: true })).toHaveCount(0)
  await page.getByRole('link', { name: 'Certificates', exact: true }).click()
  await page.getByRole('link', { name: 'till', exact: true }).click()
  const facts = page.locator('section', { has: page.getByRole('heading', { name: 'Certificate', exact: true }) })
  await expect(facts).toContainText('CN=till.example')
  await expect(facts).toContainText('9 days left')
  await page.getByRole('link', { name: 'Certificates', exact: true }).click()
  await expect(page.getByRole('row', { name: /till/ })).toContainText('CN=till.example')
  await expect(page.getByRole('row', { name: /till/ })).toContainText('9 days left')
})

test('what nodes use is shown where a cluster measures it', async ({ visit, world }) => {
  await world.apply({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'nodes.metrics.k8s.io', annotations: { 'api-approved.kubernetes.io': 'unapproved, for a test' } },
    spec: {
      group: 'metrics.k8s.io',
      scope: 'Cluster',
      names: { kind: 'NodeMetrics', plural: 'nodes', singular: 'nodemetrics', listKind: 'NodeMetricsList' },
      versions: [
        {
          name: 'v1beta1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        },
      ],
    },
  })
  await world.kubectl('wait', '--for=condition=Established', 'crd/nodes.metrics.k8s.io', '--timeout=30s')
  const usage = { cpu: '1500m', memory: '2Gi' }
  await world.apply({ apiVersion: 'metrics.k8s.io/v1beta1', kind: 'NodeMetrics', metadata: { name: 'node-1' }, usage })
  try {
    const page = await visit('')
    await expect(page.getByRole('meter', { name: 'CPU used' })).toBeAttached()
    await expect(page.getByText(/^1\.5 \/ /)).toBeVisible()
    await page.getByRole('link', { name: 'Nodes', exact: true }).click()
    await expect(page.getByRole('row', { name: /node-1/ })).toContainText('2 GiB')
    await page.goto('/dashboard/clusters')
    await expect(page.getByRole('columnheader', { name: 'CPU used' })).toBeVisible()
    await expect(page.getByRole('row', { name: /real/ })).toContainText('2 GiB')
  } finally {
    await world.kubectl('delete', 'crd', 'nodes.metrics.k8s.io')
  }
})

test('a kubeconfig is copied and downloaded, and works', async ({ visit, world }) => {
  const page = await visit('')
  await page.getByRole('button', { name: 'Copy kubeconfig' }).click()
  await expect(page.getByText('Copied')).toBeVisible()
  const copied = await page.evaluate(() => navigator.clipboard.readText())
  const [saved] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Download kubeconfig' }).click(),
  ])
  expect(saved.suggestedFilename()).toBe('real.yaml')
  const file = await saved.path()
  expect(await readFile(file, 'utf8')).toContain('kind: Config')
  expect(copied).toContain('kind: Config')
  await world.shell(`kubectl --kubeconfig '${file}' get namespace default >/dev/null`)
})

test('edits are not lost by a wrong click', async ({ visit, world }) => {
  await world.kubectl('create', 'configmap', 'draft', '--from-literal=a=1')
  const page = await visit('/r/configmaps/default/draft?tab=yaml')
  await page.getByRole('button', { name: 'Edit' }).click()
  const editor = page.getByRole('textbox', { name: 'YAML of draft' })
  await editor.fill((await editor.innerText()).replace('a: "1"', 'a: "2"'))
  const question = page.getByRole('dialog', { name: 'Leave without saving?' })
  await page.getByRole('tab', { name: 'Overview' }).click()
  await question.getByRole('button', { name: 'Cancel' }).click()
  await expect(editor).toContainText('a: "2"')
  await page.getByRole('link', { name: 'Pods', exact: true }).click()
  await question.getByRole('button', { name: 'Cancel' }).click()
  await expect(editor).toContainText('a: "2"')
  await page.getByRole('link', { name: 'Pods', exact: true }).click()
  await question.getByRole('button', { name: 'Leave' }).click()
  await expect(page.getByRole('heading', { name: 'Pods' })).toBeVisible()
  await visit('/r/configmaps/default/draft?tab=yaml')
  await page.getByRole('button', { name: 'Edit' }).click()
  await editor.fill((await editor.innerText()).replace('a: "1"', 'a: "2"'))
  await page.getByRole('button', { name: 'Cancel' }).click()
  const discard = page.getByRole('dialog', { name: 'Discard your changes?' })
  await discard.getByRole('button', { name: 'Cancel' }).click()
  await expect(editor).toContainText('a: "2"')
  await page.getByRole('button', { name: 'Cancel' }).click()
  await discard.getByRole('button', { name: 'Discard' }).click()
  await expect(editor).toContainText('a: "1"')
  // Who has changed nothing is asked nothing.
  await visit('/r/configmaps/default/draft?tab=yaml')
  await page.getByRole('button', { name: 'Edit' }).click()
  await page.getByRole('link', { name: 'Pods', exact: true }).click()
  await expect(page.getByRole('heading', { name: 'Pods' })).toBeVisible()
})
