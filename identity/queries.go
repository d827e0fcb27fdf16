package identity

import (
	"context"
	"fmt"

	"gongshu/internal/db"
)

// Account returns an account by id; errs.NotFound when there is none.
func (s *Service) Account(ctx context.Context, id string) (Account, error) {
	return accountByID(ctx, s.db.Read(), id)
}

// AccountTx is Account within a transaction.
func (s *Service) AccountTx(ctx context.Context, tx *db.Tx, id string) (Account, error) {
	return accountByID(ctx, tx, id)
}

// AccountByLogin returns an account by its login name; errs.NotFound when there is none.
func (s *Service) AccountByLogin(ctx context.Context, login string) (Account, error) {
	login, err := cleanLogin(login)
	if err != nil {
		return Account{}, noAccount()
	}
	return accountByLogin(ctx, s.db.Read(), login)
}

// CheckLogin folds and checks a login name; errs.Invalid says what is wrong with it.
func (s *Service) CheckLogin(login string) (string, error) { return cleanLogin(login) }

// Sessions returns the live sessions of an account, last used first.
func (s *Service) Sessions(ctx context.Context, account string) ([]Session, error) {
	all, err := liveSessions(ctx, s.db.Read(), account)
	if err != nil {
		return nil, err
	}
	live := all[:0]
	for _, session := range all {
		if _, over := s.limits.ended(session, s.now()); !over {
			live = append(live, session)
		}
	}
	return live, nil
}

// Empty reports whether the store has no account yet, as only a new one has.
func (s *Service) Empty(ctx context.Context) (bool, error) {
	n, err := countAccounts(ctx, s.db.Read())
	return n == 0, err
}

func spellZH(seconds int) string {
	if seconds >= 120 {
		return fmt.Sprintf("%d 分钟", (seconds+59)/60)
	}
	return fmt.Sprintf("%d 秒", seconds)
}

func spellEN(seconds int) string {
	if seconds >= 120 {
		return fmt.Sprintf("%d minutes", (seconds+59)/60)
	}
	return fmt.Sprintf("%d seconds", seconds)
}
