// The exporter "files": writes what was received to files that tests read, OTLP's JSON, one request a line: metrics.json, traces.json,
// logs.json in the folder that the configuration names. With show_header, lines of metrics.json are preceded by what that header of the
// request said, for tests of headers.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

type config struct {
	Folder     string `mapstructure:"folder"`
	ShowHeader string `mapstructure:"show_header"`
}

// files is one signal's end of the pipeline.
type files struct {
	component.StartFunc
	component.ShutdownFunc
	config *config
	name   string
	lock   sync.Mutex
}

func (f *files) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (f *files) write(ctx context.Context, line []byte, err error) error {
	if err != nil {
		return err
	}
	f.lock.Lock()
	defer f.lock.Unlock()
	file, err := os.OpenFile(filepath.Join(f.config.Folder, f.name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	if header := f.config.ShowHeader; header != "" {
		line = fmt.Appendf(nil, `{"header":%q,"request":%s}`, fmt.Sprint(client.FromContext(ctx).Metadata.Get(header)), line)
	}
	// In one write, so that a reader sees whole lines.
	_, err = file.Write(append(line, '\n'))
	return err
}

func (f *files) ConsumeMetrics(ctx context.Context, data pmetric.Metrics) error {
	line, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(data)
	return f.write(ctx, line, err)
}

func (f *files) ConsumeTraces(ctx context.Context, data ptrace.Traces) error {
	line, err := (&ptrace.JSONMarshaler{}).MarshalTraces(data)
	return f.write(ctx, line, err)
}

func (f *files) ConsumeLogs(ctx context.Context, data plog.Logs) error {
	line, err := (&plog.JSONMarshaler{}).MarshalLogs(data)
	return f.write(ctx, line, err)
}

func newFilesFactory() exporter.Factory {
	end := func(from component.Config, name string) *files { return &files{config: from.(*config), name: name} }
	return exporter.NewFactory(
		component.MustNewType("files"),
		func() component.Config { return &config{} },
		exporter.WithMetrics(func(_ context.Context, _ exporter.Settings, c component.Config) (exporter.Metrics, error) {
			return end(c, "metrics.json"), nil
		}, component.StabilityLevelStable),
		exporter.WithTraces(func(_ context.Context, _ exporter.Settings, c component.Config) (exporter.Traces, error) {
			return end(c, "traces.json"), nil
		}, component.StabilityLevelStable),
		exporter.WithLogs(func(_ context.Context, _ exporter.Settings, c component.Config) (exporter.Logs, error) {
			return end(c, "logs.json"), nil
		}, component.StabilityLevelStable),
	)
}
