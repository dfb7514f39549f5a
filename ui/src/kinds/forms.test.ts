import { expect, test } from 'vitest'

import { firstAnswers, FORMS, objectOf, rowsOf, type Answers, type Question } from './forms'

function made(id: string, answers: Answers): Record<string, any> {
  const form = FORMS[id]!
  return objectOf(form, 'web', 'shop', { ...firstAnswers(form), ...answers })
}

test('every form begins with answers that make an object', () => {
  for (const id of Object.keys(FORMS)) {
    const object = made(id, {})
    expect(object.metadata).toEqual({ name: 'web', namespace: 'shop' })
    expect(object.kind).toBe(FORMS[id]?.kind)
  }
})

test('a Service names its port by number or by name', () => {
  const selector = [
    { name: 'app', value: 'web' },
    { name: ' ', value: 'x' },
  ]
  expect(made('services', { selector, port: '80', target: '8080' }).spec).toEqual({
    type: 'ClusterIP',
    selector: { app: 'web' },
    ports: [{ port: 80, targetPort: 8080 }],
  })
  expect(made('services', { target: 'http' }).spec.ports[0].targetPort).toBe('http')
})

test('an Ingress says only what was answered', () => {
  const backend = { service: { name: 'web', port: { number: 80 } } }
  const paths = [{ path: '/', pathType: 'Prefix', backend }]
  expect(made('ingresses.networking.k8s.io', { service: 'web' }).spec).toEqual({ rules: [{ http: { paths } }] })
  const whole = made('ingresses.networking.k8s.io', { service: 'web', host: 'a.b', class: 'nginx', tls: 'cert' })
  expect(whole.spec).toEqual({
    ingressClassName: 'nginx',
    rules: [{ host: 'a.b', http: { paths } }],
    tls: [{ secretName: 'cert', hosts: ['a.b'] }],
  })
})

test('a Secret holds what its type asks for', () => {
  const data = [{ name: 'key', value: ' value ' }]
  expect(made('secrets', { data })).toMatchObject({ type: 'Opaque', stringData: { key: ' value ' } })
  const login = { username: 'me', login: [{ name: 'password', value: 'ü' }] }
  expect(made('secrets', { type: 'kubernetes.io/basic-auth', ...login }).stringData).toEqual({ username: 'me', password: 'ü' })
  const registry = made('secrets', { type: 'kubernetes.io/dockerconfigjson', registry: 'r.example', ...login })
  const { auths } = JSON.parse(registry.stringData['.dockerconfigjson'])
  expect(Buffer.from(auths['r.example'].auth, 'base64').toString('utf8')).toBe('me:ü')
})

test('a CronJob runs a command line in a shell, or what its image says', () => {
  const container = (answers: Answers) => made('cronjobs.batch', answers).spec.jobTemplate.spec.template.spec.containers[0]
  expect(container({ image: 'a' })).toEqual({ name: 'main', image: 'a' })
  expect(container({ image: 'a', command: 'date; ls' }).command).toEqual(['sh', '-c', 'date; ls'])
})

test('an autoscaler aims at a workload by its share of CPU', () => {
  expect(made('horizontalpodautoscalers.autoscaling', { target: 'web', least: '2', most: '9', cpu: '70' }).spec).toMatchObject({
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
    minReplicas: 2,
    maxReplicas: 9,
    metrics: [{ resource: { name: 'cpu', target: { averageUtilization: 70 } } }],
  })
})

test('questions stand in rows, also when one of a row is not asked', () => {
  const question = (key: string, more: Partial<Question> = {}): Question => ({ key, label: key, kind: 'text', ...more })
  const questions = [
    question('image'),
    question('replicas', { when: (answers) => answers.kind !== 'DaemonSet' }),
    question('port', { beside: true }),
    question('env'),
  ]
  const rows = (answers: Answers): string[][] => rowsOf(questions, answers).map((row) => row.map(({ key }) => key))
  expect(rows({ kind: 'Deployment' })).toEqual([['image'], ['replicas', 'port'], ['env']])
  expect(rows({ kind: 'DaemonSet' })).toEqual([['image'], ['port'], ['env']])
})
