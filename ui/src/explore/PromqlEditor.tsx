// Owns the CodeMirror instance: PromQL with completion and lint, our keys, the server's error. Loaded lazily by Editor.tsx.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { bracketMatching } from '@codemirror/language';
import { linter, lintKeymap, type Diagnostic } from '@codemirror/lint';
import { EditorState, Prec, StateEffect, StateField } from '@codemirror/state';
import { drawSelection, EditorView, keymap, placeholder } from '@codemirror/view';
import { PromQLExtension } from '@prometheus-io/codemirror-promql';
import { useEffect, useImperativeHandle, useRef, type Ref } from 'react';
import { completionClient } from './completionClient';
import { editorTheme } from './editorTheme';
import { errorPlace } from './errorPosition';

export interface EditorHandle {
  insert: (text: string) => void;
  focus: () => void;
}

export interface EditorProps {
  expr: string;
  label: string;
  /** The server's refusal of exactly `expr`. */
  error: string | undefined;
  onChange: (text: string) => void;
  onRun: (text: string) => void;
  ref?: Ref<EditorHandle>;
}

interface Refusal {
  expr: string;
  message: string;
}

const setRefusal = StateEffect.define<Refusal | null>();

const refusal = StateField.define<Refusal | null>({
  create: () => null,
  update: (value, transaction) => {
    for (const effect of transaction.effects) if (effect.is(setRefusal)) return effect.value;
    return transaction.docChanged ? null : value;
  },
});

/** The client's grammar finds most errors while typing; what only the server knows is added here. */
function serverLint(view: EditorView): Diagnostic[] {
  const refused = view.state.field(refusal);
  if (!refused || refused.expr !== view.state.doc.toString()) return [];
  const place = errorPlace(refused.expr, refused.message);
  return place ? [{ ...place, severity: 'error', source: 'server' }] : [];
}

const promql = new PromQLExtension().activateCompletion(true).activateLinter(true).setComplete({ remote: completionClient });

function extensions(label: string, events: () => Pick<EditorProps, 'onChange' | 'onRun'>) {
  const run = (view: EditorView) => {
    events().onRun(view.state.doc.toString());
    return true;
  };
  return [
    Prec.highest(keymap.of([{ key: 'Mod-Enter', run }, { key: 'Shift-Enter', run }])),
    history(),
    drawSelection(),
    bracketMatching(),
    closeBrackets(),
    autocompletion(),
    keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...completionKeymap, ...lintKeymap]),
    EditorView.lineWrapping,
    placeholder('PromQL, for example rate(node_cpu_seconds_total[5m])'),
    EditorView.contentAttributes.of({ 'aria-label': label }),
    EditorView.updateListener.of((update) => {
      if (update.docChanged) events().onChange(update.state.doc.toString());
    }),
    refusal,
    linter(serverLint, {
      delay: 0,
      needsRefresh: (update) => update.transactions.some((t) => t.effects.some((e) => e.is(setRefusal))),
    }),
    promql.asExtension(),
    editorTheme,
  ];
}

export default function PromqlEditor({ expr, label, error, onChange, onRun, ref }: EditorProps) {
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const latest = useRef({ onChange, onRun, expr });
  useEffect(() => {
    latest.current = { onChange, onRun, expr };
  });

  useEffect(() => {
    const state = EditorState.create({ doc: latest.current.expr, extensions: extensions(label, () => latest.current) });
    const editor = new EditorView({ state, parent: box.current! });
    view.current = editor;
    return () => {
      editor.destroy();
      view.current = null;
    };
  }, [label]);

  useEffect(() => {
    const editor = view.current;
    if (!editor || editor.state.doc.toString() === expr) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: expr } });
  }, [expr]);

  useEffect(() => {
    view.current?.dispatch({ effects: setRefusal.of(error === undefined ? null : { expr, message: error }) });
  }, [expr, error]);

  useImperativeHandle(ref, () => ({
    focus: () => view.current?.focus(),
    insert: (text) => {
      const editor = view.current;
      if (!editor) return;
      editor.dispatch(editor.state.replaceSelection(text));
      editor.focus();
    },
  }), []);

  return <div ref={box} />;
}
