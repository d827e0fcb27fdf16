package main

import (
	"context"
	"fmt"
	"io"
	"os/user"
	"text/tabwriter"
	"time"

	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/org"
)

// adminCmd does at the server what no account can do: found the platform, and
// help an administrator whom no other administrator may help (FS-40).
type adminCmd struct {
	Create adminCreateCmd `cmd:"" help:"Make the three first administrators of a new platform and print their one-time passwords."`
	Reset  adminResetCmd  `cmd:"" help:"Give a person a new one-time password."`
}

type adminCreateCmd struct {
	stores
	System   string `help:"System administrator as LOGIN or LOGIN=NAME." default:"sysadmin=系统管理员"`
	Security string `help:"Security administrator as LOGIN or LOGIN=NAME." default:"secadmin=安全管理员"`
	Auditor  string `help:"Auditor as LOGIN or LOGIN=NAME." default:"auditor=审计管理员"`
}

func (c adminCreateCmd) Run(ctx context.Context, g *globals) error {
	a, err := open(ctx, c.stores, time.Now)
	if err != nil {
		return err
	}
	defer a.close()
	founded, err := a.org.Found(ctx, []org.FirstAdmin{
		firstAdmin(identity.SystemAdmin, c.System), firstAdmin(identity.SecurityAdmin, c.Security), firstAdmin(identity.Auditor, c.Auditor),
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(g.out, errs.T("一次性口令只显示这一次，七天内有效，首次登录须修改；请分别交给三个人：",
		"These one-time passwords are shown only now, work for seven days and must be changed at the first log-in; hand them to three people:").In(g.Lang))
	return printSecrets(g.out, g.Lang, founded.Admins)
}

func firstAdmin(post identity.Post, flag string) org.FirstAdmin {
	for i, r := range flag {
		if r == '=' {
			return org.FirstAdmin{Post: post, Login: flag[:i], Name: flag[i+1:]}
		}
	}
	return org.FirstAdmin{Post: post, Login: flag, Name: flag}
}

func printSecrets(out io.Writer, lang string, people []org.CreatedPerson) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, p := range people {
		post := ""
		for _, h := range p.Holdings {
			post = h.Post.Text().In(lang)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", p.Login, p.InitialSecret, post)
	}
	return w.Flush()
}

type adminResetCmd struct {
	stores
	Login string `arg:"" help:"The login name."`
}

func (c adminResetCmd) Run(ctx context.Context, g *globals) error {
	a, err := open(ctx, c.stores, time.Now)
	if err != nil {
		return err
	}
	defer a.close()
	by := "unknown"
	if u, err := user.Current(); err == nil {
		by = u.Username
	}
	p, plain, err := a.org.ResetAdmin(ctx, c.Login, by)
	if err != nil {
		return err
	}
	fmt.Fprintln(g.out, errs.Tf("%s 的一次性口令（只显示这一次，首次登录须修改；重置已记入审计日志）：",
		"One-time password of %s (shown only now, to be changed at the first log-in; the reset is in the audit log):", p.Name).In(g.Lang))
	_, err = fmt.Fprintln(g.out, plain)
	return err
}
