/** What is asked to make a workload (`workload.ts` makes it of the answers). */

import { t } from '@/texts'

import type { Answers, Question } from './forms'
import { VIEWS } from './index'
import { FORM_KINDS, type FormKind, type WorkloadForm } from './workload'

const is = (answers: Answers, kind: FormKind): boolean => answers.kind === kind
const hasPort = (answers: Answers): boolean => Number(answers.port) > 0

/** A question about one field of the form. */
type About = Question & { key: keyof WorkloadForm }

/** An amount of CPU or memory. */
function amount(key: 'cpu' | 'memory' | 'cpuLimit' | 'memoryLimit', placeholder: string): About {
  return { key, label: t.deploy[key], kind: 'text', hint: t.deploy.requestHint, placeholder }
}

/** A name of something in the namespace. */
function nameOf(key: keyof WorkloadForm, label: string, of: string): About {
  return { key, label, kind: 'text', hint: t.deploy.requestHint, further: true, names: () => ({ of }) }
}

export const WORKLOAD_QUESTIONS: About[] = [
  {
    key: 'kind',
    label: t.columns.kind,
    kind: 'select',
    options: Object.entries(FORM_KINDS).map(([value, label]) => ({ value, label })),
  },
  { key: 'image', label: t.deploy.image, kind: 'text', required: true, placeholder: 'registry.example/app:1.0' },
  {
    key: 'replicas',
    label: t.actions.replicas,
    labelFor: (answers) => (is(answers, 'jobs.batch') ? t.facts.completions : t.actions.replicas),
    kind: 'number',
    range: [0, 10_000],
    required: true,
    when: (answers) => !is(answers, 'daemonsets.apps'),
  },
  { key: 'port', label: t.deploy.port, kind: 'number', range: [0, 65_535], hint: t.deploy.portHint, beside: true },
  {
    key: 'service',
    label: t.deploy.service,
    kind: 'check',
    when: (answers) => !is(answers, 'jobs.batch'),
    idle: (answers) => !hasPort(answers),
  },
  amount('cpu', '100m'),
  { ...amount('memory', '128Mi'), beside: true },
  { key: 'env', label: t.deploy.environment, kind: 'pairs' },
  { key: 'command', label: t.forms.command, kind: 'text', hint: t.forms.commandHint, mono: true, further: true },
  { ...amount('cpuLimit', '500m'), further: true },
  { ...amount('memoryLimit', '256Mi'), further: true, beside: true },
  {
    key: 'readyPath',
    label: t.deploy.readyPath,
    kind: 'text',
    hint: t.deploy.readyPathHint,
    placeholder: '/ready',
    further: true,
    when: hasPort,
  },
  nameOf('envConfigMap', t.deploy.envConfigMap, 'configmaps'),
  { ...nameOf('envSecret', t.deploy.envSecret, 'secrets'), beside: true },
  {
    ...nameOf('pullSecret', t.nav.registryCredentials, 'secrets'),
    hint: t.deploy.pullSecretHint,
    names: () => ({ of: 'secrets', filter: VIEWS['registry-credentials']?.filter ?? '' }),
  },
  nameOf('claim', t.deploy.claim, 'persistentvolumeclaims'),
  {
    key: 'mountPath',
    label: t.deploy.mountPath,
    kind: 'text',
    placeholder: '/data',
    further: true,
    beside: true,
    idle: (answers) => answers.claim === '',
  },
]
