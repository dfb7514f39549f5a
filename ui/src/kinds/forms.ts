/** Forms of kinds that people make by hand often: a few questions become an object. Pure. */

import type { KubernetesObject } from '@/data/kubernetes/objects'
import { encodeBase64 } from '@/lib/base64'
import { t } from '@/texts'

/** A row of a table of pairs. */
export interface Pair {
  name: string
  value: string
}

export type Answer = string | number | boolean | Pair[]
export type Answers = Record<string, Answer>

export interface Question {
  key: string
  label: string
  /** What it is called when that depends on other answers. */
  labelFor?: (answers: Answers) => string
  /** `pairs` asks for names and values, `texts` for names and values of several lines, `secrets` for hidden ones. */
  kind: 'text' | 'number' | 'check' | 'select' | 'pairs' | 'texts' | 'secrets'
  required?: boolean
  hint?: string
  placeholder?: string
  options?: { value: string; label: string }[]
  first?: Answer
  /** Bounds of a number; 1 and 65535 when absent. */
  range?: [least: number, most: number]
  /** What people type is code. */
  mono?: boolean
  /** Stands beside the question before it. */
  beside?: boolean
  /** Asked of those alone who want to say more. */
  further?: boolean
  /** Asked only when this holds. */
  when?: (answers: Answers) => boolean
  /** Asked, but without an effect at the moment. */
  idle?: (answers: Answers) => boolean
  /** The answer names an object of a kind, by its id. */
  names?: (answers: Answers) => { of: string; filter?: string }
}

export interface FormOf {
  apiVersion: string
  kind: string
  questions: Question[]
  /** What the object holds beside its name. */
  body: (answers: Answers) => Record<string, unknown>
}

const text = (answers: Answers, key: string): string => String(answers[key] ?? '').trim()
const number = (answers: Answers, key: string): number => Number(text(answers, key))

/** Pairs with a name, as an object. */
function record(answers: Answers, key: string): Record<string, string> {
  const pairs = answers[key]
  if (!Array.isArray(pairs)) return {}
  return Object.fromEntries(pairs.filter((pair) => pair.name.trim() !== '').map((pair) => [pair.name.trim(), pair.value]))
}

/** Without fields that say nothing. */
function filled(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== '' && value !== undefined))
}

const same = (values: string[]): { value: string; label: string }[] => values.map((value) => ({ value, label: value }))

const service: FormOf = {
  apiVersion: 'v1',
  kind: 'Service',
  questions: [
    {
      key: 'type',
      label: t.forms.type,
      kind: 'select',
      options: same(['ClusterIP', 'NodePort', 'LoadBalancer']),
      first: 'ClusterIP',
    },
    { key: 'port', label: t.forms.port, kind: 'number', required: true, first: '80' },
    { key: 'target', label: t.forms.targetPort, kind: 'text', required: true, hint: t.forms.targetPortHint, first: '8080' },
    { key: 'selector', label: t.forms.selector, kind: 'pairs', hint: t.forms.selectorHint, first: [{ name: 'app', value: '' }] },
  ],
  body: (answers) => {
    const target = text(answers, 'target')
    const port = { port: number(answers, 'port'), targetPort: /^\d+$/.test(target) ? Number(target) : target }
    return { spec: { type: text(answers, 'type'), selector: record(answers, 'selector'), ports: [port] } }
  },
}

const ingress: FormOf = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'Ingress',
  questions: [
    { key: 'host', label: t.forms.host, kind: 'text', placeholder: 'shop.example.com', hint: t.forms.hostHint },
    { key: 'path', label: t.forms.path, kind: 'text', required: true, first: '/' },
    { key: 'service', label: t.forms.service, kind: 'text', required: true, names: () => ({ of: 'services' }) },
    { key: 'port', label: t.forms.port, kind: 'number', required: true, first: '80' },
    {
      key: 'class',
      label: t.forms.ingressClass,
      kind: 'text',
      hint: t.forms.defaultHint,
      names: () => ({ of: 'ingressclasses.networking.k8s.io' }),
    },
    {
      key: 'tls',
      label: t.forms.tlsSecret,
      kind: 'text',
      hint: t.forms.tlsSecretHint,
      names: () => ({ of: 'secrets', filter: `_type="${TLS}"` }),
    },
  ],
  body: (answers) => {
    const [host, secretName] = [text(answers, 'host'), text(answers, 'tls')]
    const backend = { service: { name: text(answers, 'service'), port: { number: number(answers, 'port') } } }
    const rule = filled({ host, http: { paths: [{ path: text(answers, 'path'), pathType: 'Prefix', backend }] } })
    const tls = secretName === '' ? undefined : [{ secretName, ...(host === '' ? {} : { hosts: [host] }) }]
    return { spec: filled({ ingressClassName: text(answers, 'class'), rules: [rule], tls }) }
  },
}

const configMap: FormOf = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  questions: [{ key: 'data', label: t.forms.data, kind: 'texts', first: [{ name: '', value: '' }] }],
  body: (answers) => ({ data: record(answers, 'data') }),
}

const OPAQUE = 'Opaque'
const BASIC = 'kubernetes.io/basic-auth'
const TLS = 'kubernetes.io/tls'
const REGISTRY = 'kubernetes.io/dockerconfigjson'

/** What the registry's clients read. */
function dockerConfig(answers: Answers): string {
  const [username, password] = [text(answers, 'username'), String(answers.password ?? '')]
  const auth = encodeBase64(`${username}:${password}`)
  return JSON.stringify({ auths: { [text(answers, 'registry')]: { username, password, auth } } })
}

const secret: FormOf = {
  apiVersion: 'v1',
  kind: 'Secret',
  questions: [
    {
      key: 'type',
      label: t.forms.type,
      kind: 'select',
      first: OPAQUE,
      options: [
        { value: OPAQUE, label: t.forms.secretOpaque },
        { value: BASIC, label: t.forms.secretBasic },
        { value: TLS, label: t.forms.secretTls },
        { value: REGISTRY, label: t.forms.secretRegistry },
      ],
    },
    {
      key: 'data',
      label: t.forms.data,
      kind: 'secrets',
      first: [{ name: '', value: '' }],
      when: (answers) => answers.type === OPAQUE,
    },
    {
      key: 'registry',
      label: t.forms.registry,
      kind: 'text',
      required: true,
      placeholder: 'registry.example',
      when: (answers) => answers.type === REGISTRY,
    },
    {
      key: 'username',
      label: t.forms.userName,
      kind: 'text',
      required: true,
      when: (answers) => answers.type === BASIC || answers.type === REGISTRY,
    },
    {
      key: 'login',
      label: t.forms.passwordOf,
      kind: 'secrets',
      first: [{ name: 'password', value: '' }],
      when: (answers) => answers.type === BASIC || answers.type === REGISTRY,
    },
    {
      key: 'pair',
      label: t.forms.certificate,
      kind: 'texts',
      first: [
        { name: 'tls.crt', value: '' },
        { name: 'tls.key', value: '' },
      ],
      when: (answers) => answers.type === TLS,
    },
  ],
  body: (answers) => {
    const type = text(answers, 'type')
    const { password = '' } = record(answers, 'login')
    const data: Record<string, Record<string, string>> = {
      [OPAQUE]: record(answers, 'data'),
      [BASIC]: { username: text(answers, 'username'), password },
      [TLS]: record(answers, 'pair'),
      [REGISTRY]: { '.dockerconfigjson': dockerConfig({ ...answers, password }) },
    }
    return { type, stringData: data[type] ?? {} }
  },
}

const claim: FormOf = {
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  questions: [
    { key: 'size', label: t.forms.size, kind: 'text', required: true, first: '1Gi', hint: t.forms.sizeHint },
    {
      key: 'mode',
      label: t.forms.access,
      kind: 'select',
      options: same(['ReadWriteOnce', 'ReadWriteOncePod', 'ReadOnlyMany', 'ReadWriteMany']),
      first: 'ReadWriteOnce',
    },
    {
      key: 'class',
      label: t.forms.storageClass,
      kind: 'text',
      hint: t.forms.defaultHint,
      names: () => ({ of: 'storageclasses.storage.k8s.io' }),
    },
  ],
  body: (answers) => ({
    spec: filled({
      accessModes: [text(answers, 'mode')],
      resources: { requests: { storage: text(answers, 'size') } },
      storageClassName: text(answers, 'class'),
    }),
  }),
}

const cronJob: FormOf = {
  apiVersion: 'batch/v1',
  kind: 'CronJob',
  questions: [
    { key: 'schedule', label: t.forms.schedule, kind: 'text', required: true, first: '0 3 * * *', hint: t.forms.scheduleHint },
    { key: 'image', label: t.deploy.image, kind: 'text', required: true, placeholder: 'registry.example/app:1.0' },
    { key: 'command', label: t.forms.command, kind: 'text', hint: t.forms.commandHint },
    {
      key: 'concurrency',
      label: t.forms.concurrency,
      kind: 'select',
      options: [
        { value: 'Forbid', label: t.forms.concurrencyForbid },
        { value: 'Allow', label: t.forms.concurrencyAllow },
        { value: 'Replace', label: t.forms.concurrencyReplace },
      ],
      first: 'Forbid',
    },
    { key: 'env', label: t.deploy.environment, kind: 'pairs', first: [] },
  ],
  body: (answers) => {
    const command = text(answers, 'command')
    const env = Object.entries(record(answers, 'env')).map(([name, value]) => ({ name, value }))
    const container = filled({
      name: 'main',
      image: text(answers, 'image'),
      command: command === '' ? undefined : ['sh', '-c', command],
      env: env.length > 0 ? env : undefined,
    })
    const spec = { containers: [container], restartPolicy: 'Never' }
    return {
      spec: {
        schedule: text(answers, 'schedule'),
        concurrencyPolicy: text(answers, 'concurrency'),
        jobTemplate: { spec: { template: { spec } } },
      },
    }
  },
}

const autoscaler: FormOf = {
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  questions: [
    {
      key: 'targetKind',
      label: t.forms.targetKind,
      kind: 'select',
      options: same(['Deployment', 'StatefulSet']),
      first: 'Deployment',
    },
    {
      key: 'target',
      label: t.forms.target,
      kind: 'text',
      required: true,
      names: (answers) => ({ of: answers.targetKind === 'StatefulSet' ? 'statefulsets.apps' : 'deployments.apps' }),
    },
    { key: 'least', label: t.forms.least, kind: 'number', required: true, first: '1' },
    { key: 'most', label: t.forms.most, kind: 'number', required: true, first: '5' },
    { key: 'cpu', label: t.forms.cpuShare, kind: 'number', required: true, first: '80', hint: t.forms.cpuShareHint },
  ],
  body: (answers) => ({
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: text(answers, 'targetKind'), name: text(answers, 'target') },
      minReplicas: number(answers, 'least'),
      maxReplicas: number(answers, 'most'),
      metrics: [
        {
          type: 'Resource',
          resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: number(answers, 'cpu') } },
        },
      ],
    },
  }),
}

/** By the resource's id. */
export const FORMS: Record<string, FormOf> = {
  services: service,
  'ingresses.networking.k8s.io': ingress,
  configmaps: configMap,
  secrets: secret,
  persistentvolumeclaims: claim,
  'cronjobs.batch': cronJob,
  'horizontalpodautoscalers.autoscaling': autoscaler,
}

/** The questions that are asked, row by row: each of a row but the first stands beside the one before. */
export function rowsOf(questions: Question[], answers: Answers): Question[][] {
  const rows: Question[][] = []
  for (const one of questions) {
    const row = rows.at(-1)
    if (one.beside && row) row.push(one)
    else rows.push([one])
  }
  const asked = rows.map((row) => row.filter((one) => one.when?.(answers) ?? true))
  return asked.filter((row) => row.length > 0)
}

/** The answers that a form begins with. */
export function firstAnswers(form: FormOf): Answers {
  return Object.fromEntries(form.questions.map(({ key, first = '' }) => [key, structuredClone(first)]))
}

export function objectOf(form: FormOf, name: string, namespace: string, answers: Answers): KubernetesObject {
  return { apiVersion: form.apiVersion, kind: form.kind, metadata: { name, namespace }, ...form.body(answers) }
}
