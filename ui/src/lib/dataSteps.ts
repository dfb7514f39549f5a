/** Changes of the data of a ConfigMap or Secret, key by key. Pure. */

export interface Step {
  op: 'add' | 'remove' | 'replace' | 'test'
  path: string
  value?: unknown
}

/**
 * The steps (RFC 6902) from what somebody began with to what they want. What is replaced or removed is tested first, so
 * that a change of somebody else is refused where it is of the same key, and left alone where it is of another.
 */
export function dataSteps(before: Record<string, string> | undefined, after: Record<string, string>): Step[] {
  const was = before ?? {}
  const at = (key: string): string => `/data/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
  const removed = Object.keys(was).filter((key) => !(key in after))
  const changed = Object.keys(after).filter((key) => key in was && was[key] !== after[key])
  const added = Object.keys(after).filter((key) => !(key in was))
  const steps: Step[] = [
    ...removed.flatMap((key): Step[] => [
      { op: 'test', path: at(key), value: was[key] },
      { op: 'remove', path: at(key) },
    ]),
    ...changed.flatMap((key): Step[] => [
      { op: 'test', path: at(key), value: was[key] },
      { op: 'replace', path: at(key), value: after[key] },
    ]),
  ]
  if (before === undefined) return added.length > 0 ? [{ op: 'add', path: '/data', value: after }] : []
  return [...steps, ...added.map((key): Step => ({ op: 'add', path: at(key), value: after[key] }))]
}
