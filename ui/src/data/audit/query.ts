/** What the audit log is asked for, and what it answers. */

export interface AuditEntry {
  id: string
  sequence: number
  /** Set in lines that tell of the log itself. */
  event?: 'opened' | 'gap' | 'removed'
  timestamp?: string
  lost?: number
  reason?: string
  auditID?: string
  requestURI?: string
  user?: { name: string; group?: string[]; token?: string; requestUser?: string }
  userLoginName?: string
  method?: string
  remoteAddr?: string
  requestTimestamp?: string
  responseTimestamp?: string
  responseCode?: number
  stage?: 'ResponseStarted' | 'ResponseComplete' | 'Abandoned'
  verb?: string
  object?: {
    cluster?: string
    apiGroup?: string
    resource?: string
    namespace?: string
    name?: string
    subresource?: string
  }
  durationMillis?: number
  [field: string]: unknown
}

export interface AuditQuery {
  user?: string
  cluster?: string
  /** `changes`, `reads`, or the name of a verb or action. */
  what?: string
  kind?: string
  outcome?: string
  /** Times as an input of a form gives them: local, without a zone. */
  since?: string
  until?: string
}

/** Verbs that change nothing. */
const READS = 'get,list,watch,connect'

/** The parameters of a request. */
export function queryOf(query: AuditQuery, more: { limit?: number; before?: string | undefined; after?: string }): string {
  const verb = query.what === 'changes' ? `!${READS}` : query.what === 'reads' ? READS : query.what
  const parameters: Record<string, string | number | undefined> = {
    user: query.user,
    cluster: query.cluster,
    verb,
    kind: query.kind,
    outcome: query.outcome,
    since: instant(query.since),
    until: instant(query.until),
    ...more,
  }
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== '')
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString()
}

/** A local time as one that means the same everywhere; nothing for what is no time. */
function instant(local: string | undefined): string | undefined {
  const time = new Date(local ?? '')
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString()
}

/** When a line was written. */
export function timeOf(entry: AuditEntry): string {
  return entry.responseTimestamp ?? entry.timestamp ?? ''
}

/** What a request was about: `apps.deployments default/web`, with the part of it. */
export function objectOf({ object = {} }: AuditEntry): string {
  const { apiGroup, resource, namespace, name, subresource } = object
  const kind = [resource, apiGroup].filter(Boolean).join('.')
  const id = [namespace, name].filter(Boolean).join('/')
  return [kind, id, subresource].filter(Boolean).join(' ')
}

/** How a request ended. */
export function outcomeOf(entry: AuditEntry): 'done' | 'refused' | 'failed' | 'begun' {
  const code = entry.responseCode ?? 0
  if (code === 401 || code === 403) return 'refused'
  if (code === 0 || code >= 400) return 'failed'
  return entry.stage === 'ResponseStarted' ? 'begun' : 'done'
}
