/** CodeMirror as this UI uses it. Loaded only where text is edited or compared. */

import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands'
import { yaml } from '@codemirror/lang-yaml'
import { bracketMatching, foldGutter, foldKeymap, HighlightStyle, indentUnit, syntaxHighlighting } from '@codemirror/language'
import { unifiedMergeView } from '@codemirror/merge'
import { setDiagnostics, type Diagnostic } from '@codemirror/lint'
import { highlightSelectionMatches, searchKeymap } from '@codemirror/search'
import { Compartment, EditorState, Transaction, type Extension } from '@codemirror/state'
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from '@codemirror/view'
import { tags } from '@lezer/highlight'

import type { Cause } from '@/api/http'
import { inBackground } from './background'
import { schemaHelp, type SchemaSource, type Told } from './schema'

const look = EditorView.theme({
  '&': { height: '100%', fontSize: '12.5px', backgroundColor: 'var(--surface)', color: 'var(--text)' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.5' },
  '.cm-gutters': { backgroundColor: 'var(--surface)', color: 'var(--muted)', border: 'none' },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'var(--sunken)' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '&.cm-focused .cm-selectionBackground, .cm-selectionBackground, ::selection': {
    backgroundColor: 'color-mix(in srgb, var(--accent) 30%, transparent) !important',
  },
  '.cm-panels': { backgroundColor: 'var(--raised)', color: 'var(--text)' },
  '.cm-changedLine, &.cm-merge-b .cm-changedLine': { backgroundColor: 'var(--good-soft) !important' },
  '.cm-changedText, &.cm-merge-b .cm-changedText': { background: 'color-mix(in srgb, var(--good) 28%, transparent) !important' },
  '.cm-deletedChunk': { backgroundColor: 'var(--bad-soft) !important' },
  '.cm-deletedChunk .cm-deletedText, .cm-deletedText': {
    background: 'color-mix(in srgb, var(--bad) 30%, transparent) !important',
  },
  // The colours of the language are too faint on those of the changes.
  '.cm-changedText, .cm-changedText *, .cm-deletedChunk .cm-deletedText, .cm-deletedText *': { color: 'var(--text) !important' },
  '.cm-collapsedLines': { color: 'var(--muted)', background: 'var(--sunken)' },
})

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: 'var(--accent)' },
  { tag: [tags.string, tags.content, tags.special(tags.string)], color: 'var(--text)' },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword], color: 'var(--busy)' },
  { tag: [tags.comment, tags.meta, tags.punctuation, tags.separator], color: 'var(--muted)' },
])

function common(label: string): Extension {
  return [
    lineNumbers(),
    foldGutter(),
    drawSelection(),
    yaml(),
    indentUnit.of('  '),
    bracketMatching(),
    syntaxHighlighting(colours),
    look,
    EditorView.contentAttributes.of({ 'aria-label': label }),
    EditorView.cspNonce.of(document.querySelector<HTMLMetaElement>('meta[property=csp-nonce]')?.nonce ?? ''),
  ]
}

export interface Editor {
  setText: (text: string) => void
  setReadOnly: (on: boolean) => void
  focus: () => void
  /** Marks faults where their fields are, and goes to the first. */
  mark: (faults: Cause[]) => Promise<void>
  destroy: () => void
}

export function createEditor(
  parent: HTMLElement,
  label: string,
  text: string,
  readOnly: boolean,
  onChange: (text: string) => void,
  help?: { schema: SchemaSource; tell: (problems: Told[]) => void },
): Editor {
  const writable = new Compartment()
  let marked: { text: string; marks: Diagnostic[] } = { text: '', marks: [] }
  const mode = (on: boolean): Extension => [
    EditorState.readOnly.of(on),
    EditorView.editable.of(!on),
    // By which a keyboard scrolls it, also where the text itself is not known to take the focus.
    EditorView.contentAttributes.of({ tabindex: '0' }),
    !on && help ? schemaHelp(help.schema, help.tell, (text) => (text === marked.text ? marked.marks : [])) : [],
  ]
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        common(label),
        history(),
        highlightActiveLine(),
        highlightSelectionMatches(),
        keymap.of([...defaultKeymap, ...historyKeymap, ...searchKeymap, ...foldKeymap, indentWithTab]),
        writable.of(mode(readOnly)),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) onChange(update.state.doc.toString())
        }),
      ],
    }),
  })
  return {
    setText: (next) => {
      const isOther = next.length !== view.state.doc.length || next !== view.state.doc.toString()
      // Nobody typed that: it is not undone either.
      const annotations = Transaction.addToHistory.of(false)
      if (isOther) view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next }, annotations })
    },
    setReadOnly: (on) => view.dispatch({ effects: writable.reconfigure(mode(on)) }),
    focus: () => view.focus(),
    mark: async (faults) => {
      const now = view.state.doc.toString()
      const places = await inBackground(
        'places',
        now,
        faults.map(({ field }) => field),
      )
      if (view.state.doc.toString() !== now) return
      const marks = faults.map(({ message }, at) => ({
        ...(places[at] ?? { from: 0, to: now.length }),
        severity: 'error' as const,
        message,
      }))
      // Shown at once, and by the next look at the same text, which may be under way.
      marked = { text: now, marks }
      view.dispatch(setDiagnostics(view.state, marks))
      const first = Math.min(...marks.map((one) => one.from))
      if (marks.length > 0) view.dispatch({ selection: { anchor: first }, scrollIntoView: true })
    },
    destroy: () => view.destroy(),
  }
}

/** Shows what changed between two texts; unchanged parts are folded. */
export function createDiff(parent: HTMLElement, label: string, before: string, after: string): { destroy: () => void } {
  return new EditorView({
    parent,
    state: EditorState.create({
      doc: after,
      extensions: [
        common(label),
        EditorState.readOnly.of(true),
        EditorView.editable.of(false),
        EditorView.contentAttributes.of({ tabindex: '0' }),
        unifiedMergeView({ original: before, mergeControls: false, collapseUnchanged: { margin: 3, minSize: 6 }, gutter: true }),
      ],
    }),
  })
}
