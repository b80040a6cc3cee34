//! Profiles: the browser state that a session leaves for the next one.

mod backup;
mod cluster;
mod crash;
mod damage;
mod ends;
mod faults;
mod names;
mod scenario;
mod sharing;
mod upgrade;

use hearth_test_support::{Site, TestServer};
use scenario::{all, keep, kept, nothing, on_page, reading, saved, saving};
use serde_json::json;

#[tokio::test]
async fn the_published_persistence_check_works_unchanged() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let first = server
        .session_with(&json!({"profile": {"name": "shop", "saveChanges": true}}))
        .await;
    let url = site.url("/title/shop");
    let code = format!(
        "await page.goto('{url}'); await page.evaluate(() => {{ localStorage.setItem('cart', '3 apples'); document.cookie = 'login=ada' }}); 'written'"
    );
    assert_eq!(first.node(&code).await.ok().result, "written");
    first.delete().await;
    let second = server
        .session_with(&json!({"profile": {"name": "shop", "saveChanges": false}}))
        .await;
    let code = format!(
        "await page.goto('{url}'); await page.evaluate(() => [localStorage.getItem('cart'), document.cookie])"
    );
    assert_eq!(
        second.node(&code).await.ok().json(),
        json!(["3 apples", "login=ada"])
    );
    second.delete().await;
    server.stop().await;
}

#[tokio::test]
async fn everything_that_a_page_stores_exists_in_the_next_session() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session_with(&saving("all")).await;
    keep(&session, &site, "old").await;
    let put = "
        const database = await new Promise((done, fail) => {
            const opening = indexedDB.open('d', 1);
            opening.onupgradeneeded = () => opening.result.createObjectStore('s');
            opening.onsuccess = () => done(opening.result);
            opening.onerror = () => fail(opening.error);
        });
        await new Promise((done) => {
            const change = database.transaction('s', 'readwrite');
            change.objectStore('s').put('in the database', 'k');
            change.oncomplete = done;
        });
        await (await caches.open('c')).put('/cached', new Response('in the cache'));
        const directory = await navigator.storage.getDirectory();
        const file = await (await directory.getFileHandle('f', { create: true })).createWritable();
        await file.write('in the file');
        await file.close();
        await navigator.serviceWorker.register('/worker.js');
        await navigator.serviceWorker.ready;
        return 'put'";
    assert_eq!(on_page(&session, &site, put).await.ok().result, "put");
    let set = "await context.addCookies([{ name: 'hidden', value: 'h', domain: 'elsewhere.example', path: '/p', httpOnly: true, secure: true, sameSite: 'Strict' }]); 1";
    session.node(set).await.ok();
    session.delete().await;

    let session = server.session_with(&saving("all")).await;
    assert_eq!(kept(&session, &site).await, all("old"));
    let get = "
        const database = await new Promise((done) => {
            const opening = indexedDB.open('d', 1);
            opening.onsuccess = () => done(opening.result);
        });
        const stored = await new Promise((done) => {
            const getting = database.transaction('s').objectStore('s').get('k');
            getting.onsuccess = () => done(getting.result);
        });
        const cached = await (await caches.match('/cached')).text();
        const directory = await navigator.storage.getDirectory();
        const file = await (await (await directory.getFileHandle('f')).getFile()).text();
        return [stored, cached, file, await (await fetch('/from-worker')).text()]";
    let found = on_page(&session, &site, get).await.ok().json();
    assert_eq!(
        found,
        json!([
            "in the database",
            "in the cache",
            "in the file",
            "the worker"
        ])
    );
    let get = "const [it] = (await context.cookies()).filter((one) => one.name === 'hidden'); delete it.expires; it";
    let hidden = session.node(get).await.ok().json();
    let expected = json!({"name": "hidden", "value": "h", "domain": "elsewhere.example", "path": "/p", "httpOnly": true, "secure": true, "sameSite": "Strict"});
    assert_eq!(hidden, expected);
    // Data that is deleted in one session is gone in the next.
    let take = "localStorage.clear(); document.cookie = 'session=; max-age=0'; document.cookie = 'lasting=; max-age=0'; return 1";
    on_page(&session, &site, take).await.ok();
    session.delete().await;
    assert_eq!(saved(&server, &site, "all").await, nothing());
    server.stop().await;
}

#[tokio::test]
async fn changes_of_a_reader_are_private() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let saver = server.session_with(&saving("p")).await;
    keep(&saver, &site, "first").await;
    saver.delete().await;
    let before = scenario::files(&server);
    let reader = server.session_with(&reading("p")).await;
    keep(&reader, &site, "other").await;
    reader.delete().await;
    assert_eq!(scenario::files(&server), before);
    assert_eq!(saved(&server, &site, "p").await, all("first"));
    server.stop().await;
}

#[tokio::test]
async fn a_reader_of_an_unsaved_profile_starts_empty_and_creates_none() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let reader = server.session_with(&reading("none")).await;
    assert_eq!(reader.created.get("warning"), None);
    keep(&reader, &site, "x").await;
    reader.delete().await;
    assert_eq!(scenario::files(&server), []);
    server.stop().await;
}

#[tokio::test]
async fn caches_are_not_saved() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session_with(&saving("small")).await;
    keep(&session, &site, "x").await;
    session.delete().await;
    let files = scenario::files(&server);
    assert!(files.len() == 1 && files[0].1 < 100_000, "{files:?}");
    server.stop().await;
}
