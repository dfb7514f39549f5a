/** What is done with whole texts in YAML, which takes long for large ones: by names, so that it can be asked of a worker. Pure. */

import type { KubernetesObject } from '@/data/kubernetes/objects'
import { kindsIn, problemsOf, type Definitions, type KindName, type Messages, type Problem } from '@/lib/schema'
import { fromYaml, placeOf, toYaml } from '@/lib/yaml'

/** A message by its name and what it is made from, since workers hand over no functions. */
export type Said = { [K in keyof Messages]: [K, ...Parameters<Messages[K]>] }[keyof Messages]

const SAYING: Messages<Said> = {
  syntax: (message) => ['syntax', message],
  unknown: (field) => ['unknown', field],
  missing: (field) => ['missing', field],
  expected: (type) => ['expected', type],
  oneOf: (values) => ['oneOf', values],
}

export interface Work {
  /** An object as text. */
  write: (value: unknown) => string
  /** The objects in a text. */
  read: (text: string) => KubernetesObject[]
  kinds: (text: string) => KindName[]
  /** What is wrong with a text, by what is known of kinds. */
  problems: (text: string, known: [KindName, Definitions][]) => Problem<Said>[]
  /** Where fields stand. */
  places: (text: string, fields: string[]) => { from: number; to: number }[]
}

export const WORK: Work = {
  write: toYaml,
  read: fromYaml,
  kinds: kindsIn,
  problems: (text, known) => {
    const find = ({ apiVersion, kind }: KindName): Definitions | undefined =>
      known.find(([one]) => one.apiVersion === apiVersion && one.kind === kind)?.[1]
    return problemsOf(text, find, SAYING)
  },
  places: (text, fields) => fields.map((field) => placeOf(text, field)),
}

export interface Order {
  id: number
  name: keyof Work
  given: unknown[]
}

export type Done = { id: number; result: unknown } | { id: number; problem: string }

/** Does what is ordered; what goes wrong is part of the answer. */
export function carryOut({ id, name, given }: Order): Done {
  try {
    const work = WORK[name] as (...given: unknown[]) => unknown
    return { id, result: work(...given) }
  } catch (error) {
    return { id, problem: error instanceof Error ? error.message : String(error) }
  }
}
