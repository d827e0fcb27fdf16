package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"gongshu/audit"
	"gongshu/internal/blob"
	"gongshu/internal/db"
	"gongshu/internal/errs"
)

// openKeys reads the keys of the data directory: the master key, under which
// objects, client secrets and masks stand, and the keys of the log. It makes them for
// a platform that has none yet. The control store remembers which keys are its own, so
// that a node without them, or with those of another platform, does not start: it
// would make keys that open nothing.
func (a *app) openKeys(ctx context.Context) (audit.Keys, *blob.Master, error) {
	kept, err := db.Fact(ctx, a.control.Read(), "keys")
	if err != nil {
		return nil, nil, err
	}
	for _, name := range []string{"master.key", "log.key"} {
		if _, err := os.Stat(a.stores.path("keys", name)); errors.Is(err, fs.ErrNotExist) && kept != "" {
			return nil, nil, errs.Newf(errs.Invalid,
				"缺少密钥文件 %s：数据库已有密钥，本节点须从第一个节点（或备份的 .keys 文件）复制整个 keys 目录，见 docs/running.md",
				"the key file %s is missing: this database has its keys already; copy the folder keys from the first node, or out of a backup's .keys file, see docs/running.md",
				a.stores.path("keys", name)).In("--data")
		}
	}
	master, err := blob.LoadMaster(a.stores.path("keys", "master.key"), blob.SM4GCM)
	if err != nil {
		return nil, nil, err
	}
	keys, err := audit.LoadKeys(a.stores.path("keys"), "")
	if err != nil {
		return nil, nil, err
	}
	own := fmt.Sprintf("master %x log %s", master.Derive("fingerprint", 16), keys.Origin())
	if kept == "" {
		// Of two nodes that start together on a new database one makes the keys.
		if err := a.control.InTx(ctx, func(tx *db.Tx) (err error) {
			kept, err = db.ClaimFact(ctx, tx, "keys", own)
			return err
		}); err != nil {
			return nil, nil, err
		}
	}
	if kept != own {
		return nil, nil, errs.Newf(errs.Conflict,
			"%s 中的密钥不属于这个数据库；请从第一个节点（或备份的 .keys 文件）复制整个 keys 目录，见 docs/running.md",
			"the keys in %s are not those of this database; copy the folder keys from the first node, or out of a backup's .keys file, see docs/running.md",
			a.stores.path("keys")).In("--data")
	}
	return keys, master, nil
}

// openObjects opens the object store and sees that it is this platform's: a node
// that kept objects of its own would answer for batches that no other node can read.
func (a *app) openObjects(ctx context.Context, master *blob.Master) error {
	bucket, err := blob.OpenBucket(ctx, a.stores.objectsURL())
	if err != nil {
		return err
	}
	if a.objects, err = blob.New(bucket, master, blob.SM4GCM); err != nil {
		return err
	}
	a.closers = append(a.closers, a.objects.Close)
	owner, err := a.objects.Owner(ctx)
	if err != nil {
		return err
	}
	claimed, err := db.Fact(ctx, a.control.Read(), "objects")
	if err != nil {
		return err
	}
	switch platform := a.log.Origin(); {
	case owner == platform:
	case owner != "":
		return errs.Newf(errs.Conflict, "对象存储 %[1]s 属于另一个平台（%[2]s）", "the object store %[1]s belongs to another platform, %[2]s", a.stores.objectsURL(), owner).In("--objects")
	case claimed != "":
		return errs.Newf(errs.Conflict,
			"%s 不是这个数据库的对象存储：多个节点须共用同一个对象存储，请用 --objects 指明，见 docs/running.md",
			"%s is not the object store of this database: all nodes share one, name it with --objects, see docs/running.md", a.stores.objectsURL()).In("--objects")
	default:
		if err := a.objects.Claim(ctx, platform); err != nil {
			return err
		}
	}
	if claimed != "" {
		return nil
	}
	return a.control.InTx(ctx, func(tx *db.Tx) error { return db.SetFact(ctx, tx, "objects", "claimed") })
}
