/** What a large cluster holds besides pods: made through the hub, as its users would. */

import { expect, type APIRequestContext } from '@playwright/test'

export const SEEDS = { projects: 2000, namespaces: 300, labels: 200, keys: 14_000 }

const AT_ONCE = 12

/** Makes projects with a member each, namespaces, an object of many labels and two of a megabyte: of many keys, and of long texts. */
export async function seed(request: APIRequestContext, url: string, cluster: string): Promise<void> {
  const post = async (path: string, data: object): Promise<{ id?: string; metadata?: { name: string } }> => {
    // Whoever sends no User-Agent of a browser is not asked for the CSRF token.
    const answer = await request.post(url + path, { data, headers: { 'User-Agent': 'drover-ui-bench' } })
    expect(answer.ok(), `${path}: ${answer.status()} ${await answer.text()}`).toBe(true)
    return (await answer.json()) as { id?: string; metadata?: { name: string } }
  }
  const each = async (count: number, make: (at: number) => Promise<unknown>): Promise<void> => {
    let next = 0
    const work = async (): Promise<void> => {
      while (next < count) await make(next++)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
  }
  const own = `/k8s/clusters/${cluster}/api/v1`
  const user = await post('/v3/users', { type: 'user', username: 'other', password: 'some-long-password', enabled: true })
  const ids: string[] = []
  await each(SEEDS.projects, async (at) => {
    // Not by /v3, which makes whoever asks its owner: the administrator would hold a group for each.
    const made = await post(`/k8s/clusters/local/apis/management.cattle.io/v3/namespaces/${cluster}/projects`, {
      apiVersion: 'management.cattle.io/v3',
      kind: 'Project',
      metadata: { generateName: 'p-', namespace: cluster, annotations: { 'field.cattle.io/no-creator-rbac': 'true' } },
      spec: { clusterName: cluster, displayName: `team-${at}` },
    })
    const id = `${cluster}:${made.metadata?.name}`
    ids.push(id)
    const type = 'projectRoleTemplateBinding'
    await post(`/v3/${type}s`, { type, projectId: id, roleTemplateId: 'project-member', userPrincipalId: `local://${user.id}` })
  })
  await each(SEEDS.namespaces, (at) => {
    const annotations = at % 2 ? { 'field.cattle.io/projectId': ids[at % 40] } : {}
    return post(`${own}/namespaces`, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: `space-${at}`, annotations } })
  })
  const configMap = (name: string, data: Record<string, string>, labels: Record<string, string> = {}): Promise<unknown> =>
    post(`${own}/namespaces/default/configmaps`, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data })
  const many = (count: number, pair: (at: number) => [string, string]): Record<string, string> =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => pair(at)))
  await configMap(
    'labelled',
    { a: 'b' },
    many(SEEDS.labels, (at) => [`example.com/label-${at}`, `value-${at}`]),
  )
  await configMap(
    'many-keys',
    many(SEEDS.keys, (at) => [`key-number-${at}`, `a value of some length that stands for ${at}`]),
  )
  const line = (at: number): string => `line ${at} of a file: some words that stand here, and others: too\n`
  const file = Array.from({ length: 1400 }, (_, at) => line(at)).join('')
  await configMap(
    'long-texts',
    many(10, (at) => [`file-${at}`, file]),
  )
}
