import { expect, test } from './world'

const NAME = 'edited'

test.beforeEach(async ({ world }) => {
  await world.kubectl('delete', 'configmap', NAME, '--ignore-not-found')
  await world.kubectl('create', 'configmap', NAME, '--from-literal=mine=1', '--from-literal=theirs=1', '--from-literal=both=1')
})

test('an edit is compared before it is saved', async ({ visit, world }) => {
  const page = await visit(`/r/configmaps/default/${NAME}?tab=yaml`)
  await page.getByRole('button', { name: 'Edit' }).click()
  const editor = page.getByRole('textbox', { name: `YAML of ${NAME}` })
  const text = (await editor.innerText()).replace('mine: "1"', 'mine: "2"')
  await editor.fill(text)
  await page.getByRole('button', { name: 'Review changes' }).click()
  await expect(page.getByRole('dialog').getByLabel('Changes')).toContainText('mine: "2"')
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText(`${NAME} saved`)).toBeVisible()
  expect(await world.kubectl('get', 'configmap', NAME, '-o', 'jsonpath={.data.mine}')).toBe('2')
})

test('a change of somebody else is merged, and a conflict is decided', async ({ visit, world }) => {
  const page = await visit(`/r/configmaps/default/${NAME}?tab=yaml`)
  await page.getByRole('button', { name: 'Edit' }).click()
  const editor = page.getByRole('textbox', { name: `YAML of ${NAME}` })
  await editor.fill((await editor.innerText()).replace('mine: "1"', 'mine: "2"').replace('both: "1"', 'both: "2"'))
  await world.kubectl('patch', 'configmap', NAME, '--type=merge', '-p', '{"data":{"theirs":"3","both":"3"}}')
  await expect(page.getByText('The object has changed since you began.')).toBeVisible()
  await page.getByRole('button', { name: 'Review changes' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
  const merge = page.getByRole('dialog', { name: 'Merge with a newer version' })
  await expect(merge.getByRole('group', { name: 'data.both' })).toBeVisible()
  await expect(merge.getByRole('group', { name: 'data.both' })).toContainText('Before: "1"')
  await merge.getByLabel('Theirs:').check()
  await merge.getByRole('button', { name: 'Save merged' }).click()
  await expect(page.getByText(`${NAME} saved`)).toBeVisible()
  expect(JSON.parse(await world.kubectl('get', 'configmap', NAME, '-o', 'jsonpath={.data}'))).toEqual({
    mine: '2',
    theirs: '3',
    both: '3',
  })
})

test('fields are completed, and what is wrong is told while one types', async ({ visit }) => {
  const page = await visit('/create?kind=deployments.apps')
  const editor = page.getByRole('textbox', { name: 'YAML to create' })
  await expect(editor).toContainText('kind: Deployment')
  await editor.fill('apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: typed\nspec:\n  ')
  await page.keyboard.press('Control+End')
  await page.keyboard.type('rep')
  // Not by Enter: the editor takes none for a moment after the list has come up, so that nobody takes what they did not see.
  await page.getByRole('option', { name: /^replicas/ }).click()
  await page.keyboard.type('two')
  await expect(editor).toContainText('replicas: two')
  await expect(page.getByRole('status').filter({ hasText: 'Here belongs a whole number.' })).toBeVisible()
  await page.keyboard.press('Control+Backspace')
  await page.keyboard.type('2\nreplica: 1')
  await expect(page.getByRole('status').filter({ hasText: 'There is no field replica here.' })).toBeVisible()
})

test('what the server finds wrong is told field by field, and marked where it stands', async ({ visit }) => {
  const page = await visit('/create')
  const editor = page.getByRole('textbox', { name: 'YAML to create' })
  await editor.fill(
    [
      'apiVersion: apps/v1',
      'kind: Deployment',
      'metadata:',
      '  name: wrong',
      'spec:',
      '  replicas: -1',
      '  selector:',
      '    matchLabels: { app: one }',
      '  template:',
      '    metadata:',
      '      labels: { app: one }',
      '    spec:',
      '      containers:',
      '        - name: X_',
      '          image: registry.example/a:1',
    ].join('\n'),
  )
  await page.getByRole('button', { name: 'Create', exact: true }).click()
  const told = page.getByRole('alert')
  await expect(told.getByRole('listitem').filter({ hasText: 'spec.replicas' })).toContainText('greater than or equal to 0')
  await expect(told.getByRole('listitem').filter({ hasText: 'spec.template.spec.containers[0].name' })).toContainText('RFC 1123')
  await expect(page.locator('.cm-lintRange-error').filter({ hasText: /^replicas$/ })).toBeVisible()
  await expect(page.locator('.cm-lintRange-error').filter({ hasText: /^name$/ })).toHaveCount(1)
})

test('a name that the server refuses is told at its field', async ({ visit }) => {
  const page = await visit('/new/services')
  const name = page.getByLabel('Name', { exact: true })
  await name.fill('Bad_Name')
  await page.getByRole('button', { name: 'Create', exact: true }).click()
  await expect(name).toHaveAttribute('aria-invalid', 'true')
  await expect(name).toHaveAccessibleDescription(/RFC 1123/)
})

test('a full quota is refused with its numbers', async ({ visit, world }) => {
  await world.kubectl('create', 'namespace', 'full')
  await world.kubectl('create', 'quota', 'few', '--hard=configmaps=1', '-n', 'full')
  const page = await visit('/create')
  const text = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: one-too-many\n  namespace: full\n'
  await page.getByRole('textbox', { name: 'YAML to create' }).fill(text)
  await expect
    .poll(() => world.kubectl('get', 'quota', 'few', '-n', 'full', '-o', 'jsonpath={.status.used.configmaps}'))
    .toBe('1')
  await page.getByRole('button', { name: 'Create', exact: true }).click()
  await expect(page.getByRole('alert')).toContainText('exceeded quota: few, requested: configmaps=1, used: configmaps=1')
})

test('an object of a megabyte is edited beside the page, and keys that stand there twice are told', async ({ visit, world }) => {
  const data = Object.fromEntries(Array.from({ length: 14_000 }, (_, at) => [`key-${at}`, `a value that stands for ${at}`]))
  const page = await visit('/r/configmaps')
  const path = `/k8s/clusters/${world.cluster}/api/v1/namespaces/default/configmaps`
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'large' }, data }
  expect((await world.call(page.context().request, 'POST', path, body)).status).toBe(201)
  await visit('/r/configmaps/default/large')
  // Only the first of its keys are drawn; others are found.
  await expect(page.getByText('key-13999')).toBeHidden()
  await page.getByLabel('Find a key').fill('key-13999')
  await expect(page.getByText('key-13999', { exact: true })).toBeVisible()

  await page.getByRole('tab', { name: 'YAML' }).click()
  await page.getByRole('button', { name: 'Edit', exact: true }).click()
  // The text is written beside the page first; what is typed before that goes nowhere.
  await expect(page.getByRole('button', { name: 'Review changes' })).toBeVisible()
  const first = page.locator('.cm-line', { hasText: 'key-0:' })
  await first.click()
  await page.keyboard.press('End')
  await page.keyboard.type('\nkey-1: twice')
  await expect(page.getByRole('status').filter({ hasText: 'key-1' })).toBeVisible()
  expect(page.workers()).toHaveLength(1)
  await page.getByRole('button', { name: 'Review changes' }).click()
  await expect(page.getByRole('alert')).toContainText('key-1')
  await page.locator('.cm-line', { hasText: 'key-1: twice' }).click()
  await page.keyboard.press('End')
  for (const _ of 'key-1: twice') await page.keyboard.press('Backspace')
  await page.keyboard.type('key-new: once')
  await page.getByRole('button', { name: 'Review changes' }).click()
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await expect(page.getByText('large saved')).toBeVisible()
  expect(await world.kubectl('get', 'configmap', 'large', '-o', 'jsonpath={.data.key-new}')).toBe('once')
})
