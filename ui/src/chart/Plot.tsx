// Owns the life of one uPlot instance: made when the structure changes, fed when only data change, sized with its box.
// Loaded lazily with uPlot itself; Chart.tsx holds its place.

import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import './plot.css';
import { attachTip } from './tip';
import type { Frame } from './frame';
import { buildOptions, columns, structure, type Drawn, type Look } from './uplotOptions';

export interface PlotProps {
  frame: Frame;
  look: Look;
  height: number;
  onHover: (index: number | null) => void;
  onZoom: (startMs: number, endMs: number) => void;
}

interface Live {
  plot: uPlot;
  drawn: Drawn;
  shape: string;
}

function widthOf(parent: HTMLElement): number {
  return Math.max(120, parent.clientWidth);
}

export default function Plot({ frame, look, height, onHover, onZoom }: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const live = useRef<Live>(null);
  const latest = useRef({ onHover, onZoom });
  useEffect(() => {
    latest.current = { onHover, onZoom };
  });

  useEffect(() => {
    const parent = box.current;
    if (!parent) return;
    const shape = `${height} ${structure({ frame, look })}`;
    if (live.current?.shape === shape) {
      Object.assign(live.current.drawn, { frame, look });
      live.current.plot.setData(columns(live.current.drawn));
      return;
    }
    const drawn: Drawn = { frame, look };
    const tip = attachTip(drawn);
    const options = buildOptions(drawn, { width: widthOf(parent), height }, {
      onHover: (u, index) => {
        tip.move(u, index);
        latest.current.onHover(index);
      },
      onSelect: (start, end) => latest.current.onZoom(start, end),
    });
    const plot = new uPlot(options, columns(drawn), parent);
    tip.mount(plot);
    live.current?.plot.destroy();
    live.current = { plot, drawn, shape };
  }, [frame, look, height]);

  useEffect(() => {
    const parent = box.current;
    if (!parent) return;
    const observer = new ResizeObserver(() => live.current?.plot.setSize({ width: widthOf(parent), height }));
    observer.observe(parent);
    return () => observer.disconnect();
  }, [height]);

  useEffect(
    () => () => {
      live.current?.plot.destroy();
      live.current = null;
    },
    [],
  );

  return <div ref={box} className="plot" style={{ height }} />;
}
