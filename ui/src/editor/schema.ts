/** Completion and checks while typing, from the definitions of the kinds in the text. */

import { autocompletion, type Completion, type CompletionContext, type CompletionResult } from '@codemirror/autocomplete'
import { linter, lintGutter, lintKeymap, type Diagnostic } from '@codemirror/lint'
import type { Extension } from '@codemirror/state'
import { EditorView, keymap } from '@codemirror/view'

import { contextAt, fieldsAt, kindAt, valuesAt, type Definitions, type Field, type KindName } from '@/lib/schema'
import { t } from '@/texts'

import { inBackground } from './background'
import type { Said } from './work'

/** Where definitions come from. */
export type SchemaSource = (kind: KindName) => Promise<Definitions | undefined>

/** Milliseconds of rest before a text is looked at. */
const REST = 400
const SCALARS = new Set(['string', 'int', 'float', 'boolean'])

function typeName({ type, subtype }: Field): string {
  const short = (name: string): string => name.split('.').pop() ?? name
  return type === 'array' ? `${short(subtype ?? '')}[]` : short(type)
}

function completionOf(name: string, field: Field, indent: number): Completion {
  const inner = `\n${' '.repeat(indent + 2)}`
  const after = SCALARS.has(field.type) ? ' ' : field.type === 'array' ? `${inner}- ` : inner
  const option: Completion = { label: name, detail: typeName(field), type: 'property', apply: `${name}:${after}` }
  if (field.description) option.info = field.description
  if (field.required) option.boost = 1
  return option
}

function complete(source: SchemaSource) {
  return async (context: CompletionContext): Promise<CompletionResult | null> => {
    const text = context.state.doc.toString()
    const place = contextAt(text, context.pos)
    const kind = kindAt(text, context.pos)
    if (!place || !kind || (!context.explicit && place.from === context.pos && !place.key)) return null
    // Without an answer one types without help.
    const all = await source(kind).catch(() => undefined)
    if (!all || context.aborted) return null
    const values = valuesAt(all, place)
    if (values.length > 0) return { from: place.from, options: values.map((label) => ({ label, type: 'keyword' })) }
    if (place.key) return null
    const options = Object.entries(fieldsAt(all, place.path))
      .filter(([name]) => !place.beside.includes(name))
      .map(([name, field]) => completionOf(name, field, place.indent))
    return { from: place.from, options, validFor: /^[\w.\-/]*$/ }
  }
}

/** What is wrong, for people who do not see marks. */
export interface Told {
  line: number
  message: string
}

function said([name, given]: Said): string {
  const say = { syntax: (message: string) => message, ...t.editor.problems }[name] as (given: unknown) => string
  return say(given)
}

function check(source: SchemaSource, tell: (problems: Told[]) => void, marked: (text: string) => Diagnostic[]) {
  return async (view: EditorView): Promise<Diagnostic[]> => {
    const text = view.state.doc.toString()
    const known: [KindName, Definitions][] = []
    await Promise.all(
      (await inBackground('kinds', text)).map(async (kind) => {
        const all = await source(kind).catch(() => undefined)
        if (all) known.push([kind, all])
      }),
    )
    const found = await inBackground('problems', text, known)
    // A text that was changed meanwhile is looked at again.
    if (view.state.doc.toString() !== text) return []
    const problems = found.map((one) => ({ ...one, message: said(one.message) }))
    tell(problems.map(({ from, message }) => ({ line: view.state.doc.lineAt(from).number, message })))
    return [...problems, ...marked(text)]
  }
}

const look = EditorView.theme({
  '.cm-tooltip': { backgroundColor: 'var(--raised)', color: 'var(--text)', border: '1px solid var(--line-strong)' },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--accent-soft)', color: 'var(--text)' },
  '.cm-completionDetail': { color: 'var(--muted)', fontStyle: 'normal' },
  '.cm-completionInfo': { maxWidth: '360px', whiteSpace: 'normal' },
  '.cm-diagnostic-error': { borderLeftColor: 'var(--bad)' },
  '.cm-diagnostic-warning': { borderLeftColor: 'var(--warn)' },
})

/** Help for who edits; `marked` is what is known to be wrong with a text besides. */
export function schemaHelp(
  source: SchemaSource,
  tell: (problems: Told[]) => void,
  marked: (text: string) => Diagnostic[],
): Extension {
  return [
    autocompletion({ override: [complete(source)], icons: false }),
    linter(check(source, tell, marked), { delay: REST }),
    lintGutter(),
    keymap.of(lintKeymap),
    look,
  ]
}
