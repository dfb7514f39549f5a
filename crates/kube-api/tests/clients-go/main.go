// Program clients runs what Go programs use Kubernetes by, client-go's informers and a controller-runtime manager, against
// any API server, and prints what came of it, one fact a line. The same lines are expected of every server.
//
// usage: clients [informers | relist | manager], with KUBECONFIG set
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// How long anything may take.
const limit = 60 * time.Second

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// until polls a condition and fails with its name when it does not hold in time.
func until(ctx context.Context, what string, holds func() bool) {
	for !holds() {
		select {
		case <-ctx.Done():
			check(fmt.Errorf("waited in vain for %s", what))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// protobuf makes typed clients speak as the components of Kubernetes do.
func protobuf(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return config
}

func namespace(ctx context.Context, client kubernetes.Interface, name string) {
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err := client.CoreV1().Namespaces().Create(ctx, object, metav1.CreateOptions{})
	check(err)
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	check(err)
	config.QPS = -1
	switch os.Args[1] {
	case "informers":
		informers(ctx, config)
	case "relist":
		relist(ctx, config)
	case "manager":
		manage(ctx, config)
	default:
		check(fmt.Errorf("no such part: %s", os.Args[1]))
	}
}
